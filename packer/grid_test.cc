#include "packer/grid.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <tuple>
#include <utility>
#include <vector>

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

TEST(ChooseGrid, LooksBeyondTheNeighboursOfTheWishedSides) {
  // Wished 1.66 x 4.2 = 7: 2 x 4 does not fit, and 2 x 3 is nearer than 1 x 4 and 1 x 5.
  const Grid grid = ChooseGrid(4200, 1660, 7 * kPatch, 7, 128);
  EXPECT_EQ(grid.rows, 2u);
  EXPECT_EQ(grid.columns, 3u);
}

struct Draw {
  uint32_t width, height;
  uint64_t area;  // 2^-8 patches
  uint32_t budget, max_grid;
};

// error(R, C) by the definition in the header, in long doubles, of every grid.
double Error(const Draw& draw, double rows, double columns) {
  const long double w = draw.width, h = draw.height;
  const long double longest = static_cast<long double>(draw.max_grid) * draw.max_grid;
  long double area = std::min<long double>(draw.area / 256.0L, draw.budget);
  area = std::min({area, longest * w / h, longest * h / w});
  return static_cast<double>(std::abs(std::log((rows / columns) / (h / w))) +
                             std::abs(std::log(rows * columns / area)));
}

TEST(ChooseGrid, HasTheLeastErrorOfAllGrids) {
  std::mt19937 random(20);
  const auto between = [&](uint32_t low, uint32_t high) {
    return low + random() % (high - low + 1);
  };
  int beyond_neighbours = 0;
  for (int round = 0; round < 200000; ++round) {
    Draw draw;
    // Sizes of every aspect ratio; often small, where ties and limits are.
    draw.width = between(1, round % 3 == 0 ? 12 : 3000);
    draw.height = between(1, round % 5 == 0 ? 12 : 3000);
    if (round % 11 == 0) draw.width = between(1, 0x7FFFFFFF);
    if (round % 13 == 0) draw.height = between(1, 0x7FFFFFFF);
    draw.budget = between(1, round % 2 == 0 ? 24 : 300);
    draw.max_grid = between(1, round % 7 == 0 ? 6 : 64);
    draw.area = between(1, 256 * (draw.budget + 20));
    if (round % 4 == 0) draw.area = uint64_t{256} * between(1, draw.budget + 3);
    const Grid grid =
        ChooseGrid(draw.width, draw.height, draw.area << 24, draw.budget, draw.max_grid);
    ASSERT_GE(grid.rows, 1u);
    ASSERT_GE(grid.columns, 1u);
    ASSERT_LE(std::max(grid.rows, grid.columns), draw.max_grid);
    ASSERT_LE(grid.rows * grid.columns, draw.budget);
    const double chosen = Error(draw, grid.rows, grid.columns);
    for (uint32_t r = 1; r <= std::min(draw.max_grid, draw.budget); ++r) {
      for (uint32_t c = 1; c <= draw.max_grid && r * c <= draw.budget; ++c) {
        ASSERT_GE(Error(draw, r, c), chosen - 1e-12)
            << draw.width << "x" << draw.height << " area " << draw.area / 256.0 << " budget "
            << draw.budget << " max_grid " << draw.max_grid << ": " << grid.rows << "x"
            << grid.columns << ", nearer " << r << "x" << c;
      }
    }
    const double wish =
        std::sqrt(std::min<double>(draw.area / 256.0, draw.budget) * draw.height / draw.width);
    if (std::abs(grid.rows - wish) > 1 && chosen < 1) ++beyond_neighbours;
  }
  EXPECT_GT(beyond_neighbours, 100);
}

// Equal errors, of which there are many where the wish is a root of a whole number: in order, by
// the header's rule, found by trying every grid in exact arithmetic.
TEST(ChooseGrid, BreaksTiesAsItSays) {
  // max(side^2 / wish, wish / side^2) for the square of a wished side, as a fraction.
  struct Fraction {
    uint64_t over, under;
    bool operator<(const Fraction& o) const {
      return static_cast<unsigned __int128>(over) * o.under <
             static_cast<unsigned __int128>(o.over) * under;
    }
  };
  int ties = 0;
  for (uint32_t width = 1; width <= 12; ++width) {
    for (uint32_t height = 1; height <= 12; ++height) {
      for (uint32_t area = 1; area <= 40; ++area) {
        for (const uint32_t budget : {area, area + 1, 2 * area}) {
          const auto error = [](uint64_t side, uint64_t over, uint64_t under) {
            const Fraction f = {side * side * under, over};
            return f.over >= f.under ? f : Fraction{f.under, f.over};
          };
          const auto sign = [](uint64_t side, uint64_t over, uint64_t under) {
            return side * side * under < over ? -1 : side * side * under > over ? 1 : 0;
          };
          // (worse, better, aspect, patches, rows), smallest first.
          struct Key {
            Fraction worse, better;
            int apart;
            uint32_t patches, rows, columns;
          };
          const auto before = [](const Key& a, const Key& b) {
            if (a.worse < b.worse || b.worse < a.worse) return a.worse < b.worse;
            if (a.better < b.better || b.better < a.better) return a.better < b.better;
            return std::tie(a.apart, a.patches, a.rows) < std::tie(b.apart, b.patches, b.rows);
          };
          std::vector<Key> keys;
          for (uint32_t r = 1; r <= budget; ++r) {
            for (uint32_t c = 1; r * c <= budget; ++c) {
              Key key = {error(r, area * height, width),
                         error(c, area * width, height),
                         -sign(r, area * height, width) * sign(c, area * width, height),
                         r * c,
                         r,
                         c};
              if (key.worse < key.better) std::swap(key.worse, key.better);
              keys.push_back(key);
            }
          }
          const Key best = *std::min_element(keys.begin(), keys.end(), before);
          ties += std::count_if(keys.begin(), keys.end(),
                                [&](const Key& key) { return !(best.worse < key.worse); }) > 1;
          const Grid grid = ChooseGrid(width, height, area * kPatch, budget, 1000);
          ASSERT_EQ(grid.rows, best.rows) << width << "x" << height << " " << area << " " << budget;
          ASSERT_EQ(grid.columns, best.columns);
        }
      }
    }
  }
  EXPECT_GT(ties, 100);
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
