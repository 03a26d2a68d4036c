#include "packer/testing/pictures.h"

#include <algorithm>
#include <cstdlib>

#include "gtest/gtest.h"
#include "packer/image_header.h"
#include "packer/resize.h"

namespace navit::testing {

v1::HoleReason Decode(const std::string& bytes, Image* image, const Rgb& background) {
  const ImageHeader header = ReadImageHeader(bytes);
  DecodedImage decoded;
  const v1::HoleReason reason = DecodeImage(bytes, header.format, header.width, header.height,
                                            header.width, header.height, &decoded, background);
  if (reason != v1::HOLE_REASON_NONE) return reason;
  ResizeScratch scratch;
  ResizeImage(decoded, header.width, header.height, Interpolation::kBicubic, &scratch, image);
  return reason;
}

double MeanDifference(const Image& a, const Image& b) {
  EXPECT_EQ(a.width, b.width);
  EXPECT_EQ(a.height, b.height);
  double sum = 0;
  for (uint32_t y = 0; y < a.height; ++y) {
    for (uint32_t x = 0; x < 3 * a.width; ++x) sum += std::abs(a.Row(y)[x] - b.Row(y)[x]);
  }
  return sum / (3.0 * a.width * a.height);
}

Image Map(const Image& image, const std::function<Rgb(const uint8_t*)>& change) {
  Image result = image;
  for (uint32_t y = 0; y < image.height; ++y) {
    for (uint32_t x = 0; x < image.width; ++x) {
      const Rgb pixel = change(image.Row(y) + 3 * x);
      std::copy(pixel.begin(), pixel.end(), result.Row(y) + 3 * x);
    }
  }
  return result;
}

Image Grey(const Image& image) {
  Image grey = image;
  for (uint32_t y = 0; y < image.height; ++y) {
    for (uint32_t x = 0; x < image.width; ++x) {
      uint8_t* p = grey.Row(y) + 3 * x;
      p[0] = p[1] = p[2] = static_cast<uint8_t>((p[0] + 2 * p[1] + p[2]) / 4);
    }
  }
  return grey;
}

Image Faded(const Image& image, const Rgb& background) {
  Image faded = image;
  for (uint32_t y = 0; y < image.height; ++y) {
    for (uint32_t x = 0; x < image.width; ++x) {
      const double alpha = (255 * x / (image.width - 1)) / 255.0;
      for (int c = 0; c < 3; ++c) {
        uint8_t* p = faded.Row(y) + 3 * x + c;
        *p = static_cast<uint8_t>(*p * alpha + background[c] * (1 - alpha) + 0.5);
      }
    }
  }
  return faded;
}

Image Quantised(const Image& image) {
  Image quantised = image;
  for (uint32_t y = 0; y < image.height; ++y) {
    for (uint32_t x = 0; x < 3 * image.width; ++x) {
      quantised.Row(y)[x] = static_cast<uint8_t>(image.Row(y)[x] / 64 * 85);
    }
  }
  return quantised;
}

}  // namespace navit::testing
