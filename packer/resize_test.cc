#include "packer/resize.h"

#include <hwy/targets.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace navit {
namespace {

using Colors = DecodedImage::Colors;

constexpr Colors kAllColors[] = {Colors::kRgb, Colors::kGrey, Colors::kRgbPlanes, Colors::kYcc};

Image RandomSamples(uint32_t width, uint32_t height, uint32_t channels, uint32_t seed) {
  std::mt19937 random(seed);
  Image image;
  image.Resize(width, height, channels);
  for (uint8_t& byte : image.bytes) byte = static_cast<uint8_t>(random());
  return image;
}

// Noise of width x height pixels. Planes are as JPEG's 4:2:0 at half size: the first of whole
// pixels, the others halved, and both with last samples that stand for a half.
DecodedImage RandomImage(uint32_t width, uint32_t height, uint32_t seed,
                         Colors colors = Colors::kRgb) {
  DecodedImage image;
  if (colors == Colors::kRgb) {
    *image.MakeRgb(width, height) = RandomSamples(width, height, 3, seed);
    return image;
  }
  image.colors = colors;
  for (uint32_t p = 0; p < (colors == Colors::kGrey ? 1 : 3); ++p) {
    const uint32_t part = p == 0 ? 1 : 2;
    DecodedImage::Plane& plane = image.planes[p];
    plane.samples =
        RandomSamples((width + part - 1) / part, (height + part - 1) / part, 1, seed + p);
    plane.extent_width = std::max(0.5, width - 0.5) / part;
    plane.extent_height = std::max(0.5, height - 0.5) / part;
  }
  return image;
}

bool SamePixels(const Image& a, const Image& b) {
  if (a.width != b.width || a.height != b.height) return false;
  for (uint32_t y = 0; y < a.height; ++y) {
    if (!std::equal(a.Row(y), a.Row(y) + 3 * a.width, b.Row(y))) return false;
  }
  return true;
}

double Keys(double x) {
  x = std::abs(x);
  if (x < 1) return 1.5 * x * x * x - 2.5 * x * x + 1;
  if (x < 2) return -0.5 * x * x * x + 2.5 * x * x - 4 * x + 2;
  return 0;
}

constexpr Interpolation kAllInterpolations[] = {Interpolation::kBicubic, Interpolation::kBilinear,
                                                Interpolation::kBox};

// Weight of a sample whose centre is `offset` samples off a pixel's, pixels `scale` samples apart.
double Weight(Interpolation interpolation, double offset, double scale) {
  const double widened = offset / std::max(1.0, scale);
  switch (interpolation) {
    case Interpolation::kBicubic:
      return Keys(widened);
    case Interpolation::kBilinear:
      return std::max(0.0, 1 - std::abs(widened));
    case Interpolation::kBox:
      break;
  }
  // The sample's part in the pixel's area.
  return std::clamp((scale + 1) / 2 - std::abs(offset), 0.0, std::min(1.0, scale));
}

// One sample with antialias in real numbers, written independently of the weights of the library.
double ExactSample(const DecodedImage::Plane& plane, Interpolation interpolation, double width,
                   double height, int x, int y, uint32_t channel) {
  const Image& source = plane.samples;
  const double sx = plane.extent_width / width, sy = plane.extent_height / height;
  const double cx = plane.left + (x + 0.5) * sx, cy = plane.top + (y + 0.5) * sy;
  const double wx = std::max(1.0, sx), wy = std::max(1.0, sy);
  double sum = 0, total = 0;
  for (int v = std::max(0, int(cy - 2 * wy) - 1); v < int(source.height) && v < cy + 2 * wy + 1;
       ++v) {
    for (int u = std::max(0, int(cx - 2 * wx) - 1); u < int(source.width) && u < cx + 2 * wx + 1;
         ++u) {
      const double weight =
          Weight(interpolation, u + 0.5 - cx, sx) * Weight(interpolation, v + 0.5 - cy, sy);
      sum += weight * source.Row(v)[source.channels * u + channel];
      total += weight;
    }
  }
  return sum / total;
}

void ExactPixel(const DecodedImage& image, Interpolation interpolation, double width, double height,
                int x, int y, double rgb[3]) {
  for (uint32_t c = 0; c < 3; ++c) {
    const bool one = image.colors == Colors::kRgb || image.colors == Colors::kGrey;
    rgb[c] = ExactSample(image.planes[one ? 0 : c], interpolation, width, height, x, y,
                         image.colors == Colors::kRgb ? c : 0);
  }
  if (image.colors == Colors::kYcc) {
    const double luma = rgb[0], cb = rgb[1] - 128, cr = rgb[2] - 128;
    rgb[0] = luma + 1.402 * cr;
    rgb[1] = luma - 0.344136286 * cb - 0.714136286 * cr;
    rgb[2] = luma + 1.772 * cb;
  }
  for (int c = 0; c < 3; ++c) rgb[c] = std::clamp(rgb[c], 0.0, 255.0);
}

const uint32_t kSizes[][4] = {{1, 1, 16, 16},     {1, 1, 1, 1},       {7, 5, 16, 16},
                              {100, 80, 64, 48},  {64, 48, 64, 48},   {33, 17, 80, 16},
                              {200, 31, 16, 112}, {641, 479, 96, 64}, {500, 3, 128, 16},
                              {1030, 40, 16, 48}, {255, 256, 240, 16}};

TEST(Resize, EveryTargetGivesTheBitsOfTheDefinition) {
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    ResizeScratch scratch;
    for (const auto& s : kSizes) {
      for (const Colors colors : kAllColors) {
        const DecodedImage source = RandomImage(s[0], s[1], s[0] * 31 + s[3], colors);
        for (const Interpolation interpolation : kAllInterpolations) {
          Image expected, result;
          ResizeImageReference(source, s[2], s[3], interpolation, &expected);
          ResizeImage(source, s[2], s[3], interpolation, &scratch, &result);
          EXPECT_TRUE(SamePixels(expected, result))
              << hwy::TargetName(target) << " " << s[0] << "x" << s[1] << " to " << s[2] << "x"
              << s[3] << " colors " << static_cast<int>(colors) << " interpolation "
              << static_cast<int>(interpolation);
        }
      }
    }
  }
  hwy::SetSupportedTargetsForTest(0);
}

class ResizeNearRealArithmetic : public ::testing::TestWithParam<Interpolation> {};

TEST_P(ResizeNearRealArithmetic, WithinALevel) {
  ResizeScratch scratch;
  for (const auto& s : kSizes) {
    if (s[0] / s[2] >= 8 || s[1] / s[3] >= 8) continue;  // boxes first
    for (const Colors colors : kAllColors) {
      const DecodedImage source = RandomImage(s[0], s[1], 17 + s[0], colors);
      Image result;
      ResizeImage(source, s[2], s[3], GetParam(), &scratch, &result);
      const double bound =
          (s[0] / s[2] >= 3 || s[1] / s[3] >= 3 ? 2 : 1) + (colors == Colors::kYcc ? 1 : 0);
      for (uint32_t y = 0; y < s[3]; ++y) {
        for (uint32_t x = 0; x < s[2]; ++x) {
          double exact[3];
          ExactPixel(source, GetParam(), s[2], s[3], x, y, exact);
          for (int c = 0; c < 3; ++c) {
            ASSERT_NEAR(result.Row(y)[3 * x + c], exact[c], bound)
                << s[0] << "x" << s[1] << " to " << s[2] << "x" << s[3] << " colors "
                << static_cast<int>(colors);
          }
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, ResizeNearRealArithmetic, ::testing::ValuesIn(kAllInterpolations));

// A box over whole samples is their plain mean.
TEST(Resize, BoxOfWholeSamplesIsTheirMean) {
  const DecodedImage source = RandomImage(48, 32, 4);
  ResizeScratch scratch;
  Image result;
  ResizeImage(source, 16, 16, Interpolation::kBox, &scratch, &result);
  for (uint32_t y = 0; y < 16; ++y) {
    for (uint32_t x = 0; x < 16; ++x) {
      for (uint32_t c = 0; c < 3; ++c) {
        double sum = 0;
        for (uint32_t v = 2 * y; v < 2 * y + 2; ++v) {
          for (uint32_t u = 3 * x; u < 3 * x + 3; ++u) {
            sum += source.planes[0].samples.Row(v)[3 * u + c];
          }
        }
        ASSERT_NEAR(result.Row(y)[3 * x + c], sum / 6, 1);
      }
    }
  }
}

TEST(Resize, SameSizeIsTheIdentity) {
  const DecodedImage source = RandomImage(50, 40, 3);
  ResizeScratch scratch;
  Image result;
  ResizeImage(source, 50, 40, Interpolation::kBicubic, &scratch, &result);
  EXPECT_TRUE(SamePixels(source.planes[0].samples, result));
}

TEST(Resize, ConstantImagesStayConstant) {
  for (const int level : {0, 1, 127, 254, 255}) {
    DecodedImage source;
    Image* rgb = source.MakeRgb(777, 333);
    std::fill(rgb->bytes.begin(), rgb->bytes.end(), static_cast<uint8_t>(level));
    ResizeScratch scratch;
    Image result;
    for (const uint32_t side : {16, 64, 400}) {
      ResizeImage(source, side, side, Interpolation::kBicubic, &scratch, &result);
      // Each product is rounded by itself: many taps may be a level off.
      for (uint32_t x = 0; x < 3 * side; ++x) ASSERT_NEAR(result.Row(side / 2)[x], level, 1);
    }
  }
}

// A part of an image that begins between samples: as in real arithmetic over the samples it
// touches.
TEST(Resize, PartsBeginWithinSamples) {
  ResizeScratch scratch;
  DecodedImage source = RandomImage(90, 70, 5, Colors::kYcc);
  for (DecodedImage::Plane& plane : source.planes) {
    plane.left = 0.25;
    plane.top = 0.625;
    plane.extent_width -= 0.5;
    plane.extent_height -= 0.75;
  }
  Image result, expected;
  ResizeImageReference(source, 48, 32, Interpolation::kBicubic, &expected);
  ResizeImage(source, 48, 32, Interpolation::kBicubic, &scratch, &result);
  EXPECT_TRUE(SamePixels(expected, result));
  for (uint32_t y = 0; y < 32; ++y) {
    for (uint32_t x = 0; x < 48; ++x) {
      double exact[3];
      ExactPixel(source, Interpolation::kBicubic, 48, 32, x, y, exact);
      for (int c = 0; c < 3; ++c) ASSERT_NEAR(result.Row(y)[3 * x + c], exact[c], 2);
    }
  }
}

TEST(Resize, ScratchIsReusable) {
  ResizeScratch scratch;
  Image result, again;
  const DecodedImage large = RandomImage(900, 700, 1, Colors::kYcc), small = RandomImage(40, 30, 2);
  ResizeImage(small, 32, 16, Interpolation::kBicubic, &scratch, &result);
  ResizeImage(large, 320, 240, Interpolation::kBicubic, &scratch, &again);
  ResizeImage(small, 32, 16, Interpolation::kBicubic, &scratch, &again);
  EXPECT_TRUE(SamePixels(result, again));
}

// Rows are stored in whole vectors: at 21, 85 and 149 pixels the last of them would not fit.
TEST(Resize, NothingIsWrittenBehindTheLastRow) {
  const DecodedImage source = RandomImage(40, 30, 3);
  ResizeScratch scratch;
  for (uint32_t width = 1; width <= 150; ++width) {
    Image result;
    result.bytes.assign(1 << 14, 0xA5);
    ResizeImage(source, width, 3, Interpolation::kBicubic, &scratch, &result);
    ASSERT_EQ(result.bytes.size(), size_t{1} << 14);
    for (size_t i = result.stride * result.height; i < result.bytes.size(); ++i) {
      ASSERT_EQ(result.bytes[i], 0xA5) << "width " << width << " byte " << i;
    }
  }
}

TEST(ResizeWeights, SumToOneAndDoNotOverflow) {
  std::vector<double> kernel;
  resize_internal::Weights weights;
  for (uint32_t in : {1, 2, 3, 5, 16, 100, 799}) {
    for (uint32_t out : {1, 2, 16, 100, 1000}) {
      for (const Interpolation interpolation : kAllInterpolations) {
        resize_internal::MakeWeights(in, 0, in, out, interpolation, &kernel, &weights);
        for (uint32_t i = 0; i < out; ++i) {
          ASSERT_LE(weights.first[i] + weights.taps, in);
          int sum = 0, absolute = 0;
          for (uint32_t t = 0; t < weights.taps; ++t) {
            sum += weights.weights[i * weights.taps + t];
            absolute += std::abs(weights.weights[i * weights.taps + t]);
          }
          ASSERT_EQ(sum, 1 << 14);
          ASSERT_LT(absolute, 32768 - 256) << in << " to " << out;
        }
      }
    }
  }
}

TEST(ReduceByBoxes, AveragesAlsoAtTheBorder) {
  Image source;
  source.Resize(3, 1);
  const uint8_t pixels[9] = {10, 0, 255, 20, 0, 254, 30, 7, 1};
  std::copy(pixels, pixels + 9, source.Row(0));
  Image result;
  resize_internal::ReduceByBoxes(source, 2, 2, &result);
  ASSERT_EQ(result.width, 2u);
  ASSERT_EQ(result.height, 1u);
  const uint8_t expected[6] = {15, 0, 255, 30, 7, 1};
  EXPECT_TRUE(std::equal(expected, expected + 6, result.Row(0)));
}

}  // namespace
}  // namespace navit
