#include "packer/grid.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace navit {
namespace {

using Wide = unsigned __int128;

// Largest r with r * r <= x.
uint64_t SquareRoot(uint64_t x) {
  uint64_t root = 0;
  for (uint64_t bit = uint64_t{1} << 31; bit > 0; bit >>= 1) {
    const uint64_t larger = root | bit;
    if (larger * larger <= x) root = larger;
  }
  return root;
}

// An exact ratio of numbers below 2^96, which compares as its value.
struct Ratio {
  Wide over = 0;
  Wide under = 1;
};

int Compare(const Ratio& a, const Ratio& b) {
  // The 192 bits of `x * y`, x and y below 2^96: the upper 128, the lower 64.
  const auto product = [](Wide x, Wide y) {
    const uint64_t x_low = static_cast<uint64_t>(x), y_low = static_cast<uint64_t>(y);
    const Wide x_high = x >> 64, y_high = y >> 64;
    const Wide low = static_cast<Wide>(x_low) * y_low;
    const Wide middle = x_high * y_low + y_high * x_low + (low >> 64);
    return std::tuple(((x_high * y_high) << 64) + middle, static_cast<uint64_t>(low));
  };
  const auto left = product(a.over, b.under), right = product(b.over, a.under);
  return left < right ? -1 : left > right ? 1 : 0;
}

// A wished side, given as its square, and the whole numbers beside it.
struct Wish {
  explicit Wish(Ratio wished_square) : square(wished_square) {
    below = SquareRoot(static_cast<uint64_t>(square.over / square.under));
    above = below + (square.over != below * below * square.under ? 1 : 0);
  }
  // The square of max(side / wish, wish / side).
  Ratio Error(uint64_t side) const {
    const Ratio ratio = {side * side * square.under, square.over};
    return ratio.over >= ratio.under ? ratio : Ratio{ratio.under, ratio.over};
  }
  // -1, 0 or 1: `side` is less than wished, as wished, more.
  int Sign(uint64_t side) const { return side >= above ? (side > below ? 1 : 0) : -1; }

  Ratio square;
  uint64_t below;
  uint64_t above;
};

struct Candidate {
  Candidate(const Wish& wished_rows, const Wish& wished_columns, uint64_t r, uint64_t c)
      : rows(r),
        columns(c),
        worse(wished_rows.Error(r)),
        better(wished_columns.Error(c)),
        same_way(wished_rows.Sign(r) * wished_columns.Sign(c)) {
    if (Compare(worse, better) < 0) std::swap(worse, better);
  }
  bool operator<(const Candidate& other) const {
    if (const int sign = Compare(worse, other.worse); sign != 0) return sign < 0;
    if (const int sign = Compare(better, other.better); sign != 0) return sign < 0;
    // Of equal errors on both sides, those of one sign keep the aspect ratio better.
    return std::tuple(-same_way, rows * columns, rows) <
           std::tuple(-other.same_way, other.rows * other.columns, other.rows);
  }

  uint64_t rows;
  uint64_t columns;
  Ratio worse;
  Ratio better;
  int same_way;
};

}  // namespace

Grid ChooseGrid(uint32_t width, uint32_t height, uint64_t area, uint32_t budget,
                uint32_t max_grid) {
  const Wide a = std::clamp<uint64_t>(area, 1, uint64_t{budget} << 32);
  Ratio rows_square = {a * height, static_cast<Wide>(width) << 32};
  Ratio columns_square = {a * width, static_cast<Wide>(height) << 32};
  // The longer side is within max_grid, and the other goes with it.
  const Wide longest_square = static_cast<Wide>(max_grid) * max_grid;
  Ratio& longer = height >= width ? rows_square : columns_square;
  if (longer.over > longest_square * longer.under) {
    Ratio& shorter = height >= width ? columns_square : rows_square;
    const Wide least = std::min(width, height), most = std::max(width, height);
    longer = {longest_square, 1};
    shorter = {longest_square * least * least, most * most};
  }
  const Wish rows(rows_square), columns(columns_square);

  // The best grid is one of four. With both sides at least as wished, it has the least such sides;
  // with both below, the largest such, which fit, as r c <= budget. With one side above its wish,
  // the other is the largest below its own that fits beside the least such.
  const uint64_t fewer_columns = std::min(columns.below, budget / rows.above);
  const uint64_t fewer_rows = std::min(rows.below, budget / columns.above);
  const std::pair<uint64_t, uint64_t> sides[] = {{rows.below, columns.below},
                                                 {rows.above, fewer_columns},
                                                 {fewer_rows, columns.above},
                                                 {rows.above, columns.above}};
  Candidate best(rows, columns, 1, 1);
  for (const auto& [r, c] : sides) {
    if (r == 0 || c == 0 || r * c > budget) continue;
    const Candidate candidate(rows, columns, r, c);
    if (candidate < best) best = candidate;
  }
  return {static_cast<uint32_t>(best.rows), static_cast<uint32_t>(best.columns)};
}

uint64_t AreaInPatches(uint32_t width, uint32_t height, uint64_t pixels, uint32_t max_upscale,
                       uint32_t patch_size) {
  const Wide largest =
      static_cast<Wide>(uint64_t{width} * height) * (static_cast<Wide>(max_upscale) * max_upscale);
  const Wide area = std::min<Wide>(pixels, largest) / (uint64_t{patch_size} * patch_size);
  return static_cast<uint64_t>(std::min<Wide>(area, ~uint64_t{0}));
}

uint64_t SideOfSquare(uint64_t pixels) { return SquareRoot(pixels); }

}  // namespace navit
