#include "packer/grid.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "gtest/gtest.h"

namespace navit {
namespace {

constexpr uint64_t kPatch = uint64_t{1} << 32;

// A square of 64 pixels.
constexpr uint64_t kSide64 = uint64_t{64 * 64} << 32;

TEST(ChooseGrid, SquareOfTheBudget) {
  const Grid grid = ChooseGrid(1000, 1000, 576 * kPatch, 576, 128);
  EXPECT_EQ(grid.rows, 24u);
  EXPECT_EQ(grid.columns, 24u);
}

TEST(ChooseGrid, TwoToOneFitsTheBudgetWithTheNearestAspect) {
  // Wished 16.97 x 33.94 = 576; 17 x 34 = 578 does not fit.
  const Grid grid = ChooseGrid(2000, 1000, 576 * kPatch, 576, 128);
  EXPECT_EQ(grid.rows, 17u);
  EXPECT_EQ(grid.columns, 33u);
}

TEST(ChooseGrid, TinyImagesGetOnePatch) {
  const Grid grid = ChooseGrid(1, 1, AreaInPatches(1, 1, kSide64, 1 << 16, 16), 576, 128);
  EXPECT_EQ(grid.rows, 1u);
  EXPECT_EQ(grid.columns, 1u);
}

TEST(ChooseGrid, ExtremeAspectIsLimitedByGridAndBudget) {
  Grid grid = ChooseGrid(100000, 1, 576 * kPatch, 576, 128);
  EXPECT_EQ(grid.rows, 1u);
  EXPECT_EQ(grid.columns, 128u);
  grid = ChooseGrid(1, 100000, 576 * kPatch, 64, 128);
  EXPECT_EQ(grid.rows, 64u);
  EXPECT_EQ(grid.columns, 1u);
}

TEST(ChooseGrid, TransposedImagesGetTransposedGrids) {
  // Ties, which prefer fewer rows, do not happen at these sizes.
  for (uint32_t width = 40; width < 300; width += 17) {
    for (uint32_t height = 41; height < 300; height += 19) {
      const Grid a = ChooseGrid(width, height, 100 * kPatch + 12345, 300, 128);
      const Grid b = ChooseGrid(height, width, 100 * kPatch + 12345, 300, 128);
      EXPECT_EQ(a.rows, b.columns);
      EXPECT_EQ(a.columns, b.rows);
    }
  }
}

// Any input gives a grid within all limits; moderate ones are near the wished aspect and area.
TEST(ChooseGrid, HoldsLimitsForAll) {
  for (uint32_t width : {1u, 3u, 16u, 100u, 333u, 2348u, 60000u, 2147483647u}) {
    for (uint32_t height : {1u, 7u, 50u, 224u, 1000u, 65535u, 2147483647u}) {
      for (uint32_t budget : {1u, 2u, 16u, 196u, 576u, 65536u}) {
        for (uint32_t max_grid : {1u, 8u, 128u, 4096u}) {
          for (uint64_t area : {uint64_t{0}, kPatch / 3, 5 * kPatch, 250 * kPatch + 7}) {
            const Grid grid = ChooseGrid(width, height, area, budget, max_grid);
            ASSERT_GE(grid.rows, 1u);
            ASSERT_GE(grid.columns, 1u);
            ASSERT_LE(grid.rows, max_grid);
            ASSERT_LE(grid.columns, max_grid);
            ASSERT_LE(uint64_t{grid.rows} * grid.columns, budget);
            const double aspect = static_cast<double>(width) / height;
            if (aspect > 0.25 && aspect < 4 && area == 250 * kPatch + 7 && budget >= 576 &&
                max_grid >= 128) {
              EXPECT_NEAR(std::log(grid.columns / (grid.rows * aspect)), 0, 0.12);
              EXPECT_NEAR(std::log(grid.columns * grid.rows / 250.0), 0, 0.12);
            }
          }
        }
      }
    }
  }
}

TEST(AreaInPatches, IsLimitedByUpscaling) {
  // 100 x 50 pixels: R = 64 asks for 4096 pixels, the image has 5000.
  EXPECT_EQ(AreaInPatches(100, 50, kSide64, 1 << 16, 16), uint64_t{16} << 32);
  EXPECT_EQ(AreaInPatches(64, 32, kSide64, 1 << 16, 16), uint64_t{8} << 32);
  EXPECT_EQ(AreaInPatches(64, 32, kSide64, 2 << 16, 16), uint64_t{16} << 32);
}

}  // namespace
}  // namespace navit
