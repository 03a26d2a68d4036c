#include "packer/augmentation.h"

#include <cmath>

#include "gtest/gtest.h"

namespace navit {
namespace {

constexpr int kDraws = 20000;

v1::CropSpec Spec(double min_area, double max_area, double aspect_jitter) {
  v1::CropSpec spec;
  spec.set_min_area(min_area);
  spec.set_max_area(max_area);
  spec.set_aspect_jitter(aspect_jitter);
  return spec;
}

Part Crop(const v1::CropSpec& spec, uint32_t width, uint32_t height, uint64_t sample) {
  return DrawCrop(spec, width, height, Draws(42, 0, 0, sample, Purpose::kCrop));
}

TEST(DrawCrop, WholeImageWhenThereIsNothingToDraw) {
  const Part part = Crop(Spec(1, 1, 1), 31, 17, 5);
  EXPECT_EQ(part.left, 0u);
  EXPECT_EQ(part.top, 0u);
  EXPECT_EQ(part.width, 31u);
  EXPECT_EQ(part.height, 17u);
}

// Of images so large that whole pixels do not blur the answer: uniform areas, kept aspect ratios.
TEST(DrawCrop, AreaIsUniformAndAspectKept) {
  const v1::CropSpec spec = Spec(0.25, 0.75, 1);
  double sum = 0, squares = 0, left = 0;
  for (int i = 0; i < kDraws; ++i) {
    const Part part = Crop(spec, 8000, 6000, i);
    ASSERT_LE(part.left + part.width, 8000u);
    ASSERT_LE(part.top + part.height, 6000u);
    ASSERT_NEAR(part.width / 8000.0, part.height / 6000.0, 2e-4);
    const double area = static_cast<double>(part.width) * part.height / (8000.0 * 6000.0);
    ASSERT_GT(area, 0.2495);
    ASSERT_LT(area, 0.7505);
    sum += area;
    squares += area * area;
    left += part.left / (8000.0 - part.width);
  }
  const double mean = sum / kDraws;
  // A uniform number's deviation is its range / sqrt(12); five errors of a mean.
  const double deviation = 0.5 / std::sqrt(12.0);
  EXPECT_NEAR(mean, 0.5, 5 * deviation / std::sqrt(kDraws));
  EXPECT_NEAR(std::sqrt(squares / kDraws - mean * mean), deviation, 0.003);
  EXPECT_NEAR(left / kDraws, 0.5, 5 / std::sqrt(12.0 * kDraws));
}

TEST(DrawCrop, AspectIsJitteredBothWaysAlike) {
  const v1::CropSpec spec = Spec(0.2, 0.2, 2);
  double sum = 0, squares = 0;
  for (int i = 0; i < kDraws; ++i) {
    const Part part = Crop(spec, 8000, 6000, i);
    const double log = std::log(part.width * 6000.0 / (part.height * 8000.0)) / std::log(2.0);
    ASSERT_LT(std::abs(log), 1.001);
    ASSERT_NEAR(static_cast<double>(part.width) * part.height / (8000.0 * 6000.0), 0.2, 3e-4);
    sum += log;
    squares += log * log;
  }
  EXPECT_NEAR(sum / kDraws, 0, 5 / std::sqrt(3.0 * kDraws));
  EXPECT_NEAR(std::sqrt(squares / kDraws), 1 / std::sqrt(3.0), 0.006);
}

TEST(DrawCrop, StaysInsideSmallAndLongImages) {
  const v1::CropSpec spec = Spec(0.01, 1, 8);
  for (const auto& [width, height] :
       {std::pair<uint32_t, uint32_t>{1, 1}, {1, 3000}, {3000, 1}, {7, 5}}) {
    for (int i = 0; i < 500; ++i) {
      const Part part = Crop(spec, width, height, i);
      ASSERT_GE(part.width, 1u);
      ASSERT_GE(part.height, 1u);
      ASSERT_LE(part.left + part.width, width);
      ASSERT_LE(part.top + part.height, height);
    }
  }
}

TEST(DrawFlip, AsOftenAsAsked) {
  for (const double share : {0.0, 0.3, 0.5, 1.0}) {
    int flips = 0;
    for (int i = 0; i < kDraws; ++i) {
      flips += DrawFlip(share, Draws(42, 0, 1, i, Purpose::kFlip)) ? 1 : 0;
    }
    EXPECT_NEAR(flips / double{kDraws}, share, 5 * std::sqrt(share * (1 - share) / kDraws));
  }
}

}  // namespace
}  // namespace navit
