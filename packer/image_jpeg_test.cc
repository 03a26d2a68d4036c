#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "packer/image.h"
#include "packer/resize.h"
#include "packer/testing/encode.h"
#include "packer/testing/pictures.h"

namespace navit {
namespace {

using testing::Decode;
using testing::EncodeJpeg;
using testing::JpegOptions;
using testing::MakePicture;
using testing::Map;
using testing::MeanDifference;

TEST(DecodeJpeg, ColourGreyProgressiveAndCmyk) {
  const Image picture = MakePicture(61, 37, 5);
  Image image;
  JpegOptions options;
  options.quality = 100;
  ASSERT_EQ(Decode(EncodeJpeg(picture, options), &image), v1::HOLE_REASON_NONE);
  EXPECT_LT(MeanDifference(image, picture), 6);
  options.progressive = true;
  ASSERT_EQ(Decode(EncodeJpeg(picture, options), &image), v1::HOLE_REASON_NONE);
  EXPECT_LT(MeanDifference(image, picture), 6);
  options.cmyk = true;  // no chroma subsampling: nearly exact
  ASSERT_EQ(Decode(EncodeJpeg(picture, options), &image), v1::HOLE_REASON_NONE);
  EXPECT_LT(MeanDifference(image, picture), 1);
  options.cmyk = false;
  options.grey = true;
  ASSERT_EQ(Decode(EncodeJpeg(picture, options), &image), v1::HOLE_REASON_NONE);
  EXPECT_EQ(image.Row(9)[30], image.Row(9)[31]);
  EXPECT_NEAR(image.Row(9)[30], picture.Row(9)[31], 3);
}

// Four inks: as they are or as luma and chroma, inverted as Adobe does or not.
TEST(DecodeJpeg, EveryKindOfCmyk) {
  const Image picture = MakePicture(61, 37, 5);
  JpegOptions options;
  options.quality = 100;
  options.cmyk = true;
  for (const bool ycck : {false, true}) {
    for (const bool adobe : {false, true}) {
      if (ycck && !adobe) continue;  // without the marker nothing says that it is YCCK
      for (const int black : {255, 128, 0}) {
        options.ycck = ycck;
        options.adobe = adobe;
        options.black = static_cast<uint8_t>(black);
        const Image expected = Map(picture, [&](const uint8_t* p) -> Rgb {
          return {static_cast<uint8_t>(p[0] * black / 255),
                  static_cast<uint8_t>(p[1] * black / 255),
                  static_cast<uint8_t>(p[2] * black / 255)};
        });
        Image image;
        ASSERT_EQ(Decode(EncodeJpeg(picture, options), &image), v1::HOLE_REASON_NONE);
        EXPECT_LT(MeanDifference(image, expected), ycck ? 6 : 1) << ycck << adobe << black;
      }
    }
  }
}

TEST(DecodeJpeg, ScalesToTheSmallestPowerOfTwoThatHoldsTheTarget) {
  const std::string bytes = EncodeJpeg(MakePicture(200, 100, 5));
  DecodedImage image;
  const struct {
    uint32_t target_width, target_height, width, height;
  } cases[] = {{200, 100, 200, 100}, {300, 10, 200, 100}, {25, 13, 25, 13},  {26, 1, 50, 25},
               {1, 1, 25, 13},       {100, 50, 100, 50},  {50, 26, 100, 50}, {101, 1, 200, 100}};
  for (const auto& c : cases) {
    ASSERT_EQ(
        DecodeImage(bytes, v1::ShardIndex::JPEG, 200, 100, c.target_width, c.target_height, &image),
        v1::HOLE_REASON_NONE);
    EXPECT_EQ(image.planes[0].samples.width, c.width);
    EXPECT_EQ(image.planes[0].samples.height, c.height);
  }
}

// Bicubic with antialias (Keys, a = -1/2) of RGB in real numbers, one axis after the other.
std::vector<double> ExactResize(const Image& image, uint32_t width, uint32_t height) {
  const auto kernel = [](double x) {
    x = std::abs(x);
    if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
    return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0.0;
  };
  // [in][lines] to [out][lines], each entry a pixel.
  using Pixel = std::array<double, 3>;
  const auto resample = [&](const std::vector<Pixel>& from, uint32_t in, uint32_t lines,
                            uint32_t out) {
    std::vector<Pixel> to(size_t{out} * lines);
    const double scale = static_cast<double>(in) / out;
    const double widening = std::max(1.0, scale);
    for (uint32_t i = 0; i < out; ++i) {
      const double centre = (i + 0.5) * scale;
      double total = 0;
      for (uint32_t k = 0; k < in; ++k) {
        const double weight = kernel((k + 0.5 - centre) / widening);
        if (weight == 0) continue;
        total += weight;
        for (uint32_t l = 0; l < lines; ++l) {
          for (int c = 0; c < 3; ++c) {
            to[size_t{i} * lines + l][c] += weight * from[size_t{k} * lines + l][c];
          }
        }
      }
      for (uint32_t l = 0; l < lines; ++l) {
        for (double& value : to[size_t{i} * lines + l]) value /= total;
      }
    }
    return to;
  };
  const auto transpose = [](const std::vector<Pixel>& from, uint32_t rows, uint32_t columns) {
    std::vector<Pixel> to(from.size());
    for (uint32_t r = 0; r < rows; ++r) {
      for (uint32_t c = 0; c < columns; ++c)
        to[size_t{c} * rows + r] = from[size_t{r} * columns + c];
    }
    return to;
  };
  std::vector<Pixel> pixels;
  for (uint32_t y = 0; y < image.height; ++y) {
    for (uint32_t x = 0; x < image.width; ++x) {
      const uint8_t* p = image.Row(y) + size_t{3} * x;
      pixels.push_back({double(p[0]), double(p[1]), double(p[2])});
    }
  }
  pixels = resample(pixels, image.height, image.width, height);
  pixels = transpose(pixels, height, image.width);
  pixels = resample(pixels, image.width, height, width);
  pixels = transpose(pixels, width, height);
  std::vector<double> levels;
  for (const Pixel& pixel : pixels) {
    for (const double value : pixel) levels.push_back(std::clamp(value, 0.0, 255.0));
  }
  return levels;
}

// Scaled in the DCT domain and resized from planes, an image differs little from one that is
// decoded whole, turned into RGB and resized in real numbers.
TEST(DecodeJpeg, ScaledAndResizedIsNearTheWholeImageInRealArithmetic) {
  Image noisy = MakePicture(400, 304, 3);
  std::mt19937 random(5);
  std::normal_distribution<double> grain(0, 20);
  for (uint32_t y = 0; y < noisy.height; ++y) {
    for (uint32_t x = 0; x < noisy.width; ++x) {
      const double add = grain(random);
      for (int c = 0; c < 3; ++c) {
        uint8_t& level = noisy.Row(y)[3 * x + c];
        level = static_cast<uint8_t>(std::clamp(level + add, 0.0, 255.0));
      }
    }
  }
  const struct {
    const char* name;
    Image image;
    double mean, psnr;
  } pictures[] = {{"smooth", MakePicture(400, 304, 3), 1.5, 36}, {"noisy", noisy, 4, 34}};
  for (const auto& picture : pictures) {
    const std::string bytes = EncodeJpeg(picture.image);
    Image whole;
    ASSERT_EQ(Decode(bytes, &whole), v1::HOLE_REASON_NONE);
    // Scales of 1/8, 1/4, 1/2 and 1, near to the decoded size and far from it.
    for (const auto& [width, height] : {std::pair<uint32_t, uint32_t>{48, 32},
                                        {64, 48},
                                        {96, 64},
                                        {112, 80},
                                        {192, 144},
                                        {256, 192},
                                        {384, 288}}) {
      DecodedImage decoded;
      ASSERT_EQ(DecodeImage(bytes, v1::ShardIndex::JPEG, 400, 304, width, height, &decoded),
                v1::HOLE_REASON_NONE);
      ResizeScratch scratch;
      Image result;
      ResizeImage(decoded, width, height, Interpolation::kBicubic, &scratch, &result);
      const std::vector<double> exact = ExactResize(whole, width, height);
      double sum = 0, squares = 0;
      for (uint32_t y = 0; y < height; ++y) {
        for (uint32_t i = 0; i < 3 * width; ++i) {
          const double difference = result.Row(y)[i] - exact[size_t{3} * width * y + i];
          sum += std::abs(difference);
          squares += difference * difference;
        }
      }
      const double count = 3.0 * width * height;
      const double psnr = 10 * std::log10(255 * 255 * count / squares);
      EXPECT_LT(sum / count, picture.mean) << picture.name << " " << width << "x" << height;
      EXPECT_GT(psnr, picture.psnr) << picture.name << " " << width << "x" << height;
    }
  }
}

}  // namespace
}  // namespace navit
