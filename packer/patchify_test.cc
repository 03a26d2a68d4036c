#include "packer/patchify.h"

#include <cstdint>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace navit {
namespace {

TEST(ChoosePatches, RisingDistinctAndKeyed) {
  for (uint32_t patches : {1, 2, 36, 576, 65536}) {
    for (uint32_t kept : {1u, (patches + 1) / 2, patches}) {
      const auto chosen = ChoosePatches(patches, kept, Draws(1, 0, 0, 7, Purpose::kDropPatches));
      ASSERT_EQ(chosen.size(), kept);
      for (uint32_t i = 1; i < kept; ++i) ASSERT_LT(chosen[i - 1], chosen[i]);
      ASSERT_LT(chosen.back(), patches);
    }
  }
  EXPECT_EQ(ChoosePatches(100, 50, Draws(1, 0, 0, 7, Purpose::kDropPatches)),
            ChoosePatches(100, 50, Draws(1, 0, 0, 7, Purpose::kDropPatches)));
  EXPECT_NE(ChoosePatches(100, 50, Draws(1, 0, 0, 7, Purpose::kDropPatches)),
            ChoosePatches(100, 50, Draws(1, 0, 0, 8, Purpose::kDropPatches)));
}

TEST(ChoosePatches, EachPatchEquallyOften) {
  std::vector<int> hits(10, 0);
  for (uint64_t sample = 0; sample < 10000; ++sample) {
    for (uint32_t p : ChoosePatches(10, 3, Draws(5, 0, 0, sample, Purpose::kDropPatches))) {
      ++hits[p];
    }
  }
  for (int h : hits) EXPECT_NEAR(h, 3000, 200);
}

TEST(AppendPatches, CutsRowMajorRgb) {
  Image image;
  image.Resize(4, 6);
  for (uint32_t y = 0; y < 6; ++y) {
    for (uint32_t x = 0; x < 12; ++x) image.Row(y)[x] = static_cast<uint8_t>(16 * y + x);
  }
  std::string patches = "x", positions;
  AppendPatches(image, 2, {1, 4}, &patches, &positions);
  // Grid of 3 x 2: patch 1 is (0, 1), patch 4 is (2, 0).
  const std::vector<uint8_t> expected = {'x', 6,  7,  8,  9,  10, 11, 22, 23, 24, 25, 26, 27,
                                         64,  65, 66, 67, 68, 69, 80, 81, 82, 83, 84, 85};
  EXPECT_EQ(std::vector<uint8_t>(patches.begin(), patches.end()), expected);
  EXPECT_EQ(positions, std::string("\0\0\1\0\2\0\0\0", 8));
}

}  // namespace
}  // namespace navit
