#include "packer/grid.h"

#include <algorithm>

namespace navit {
namespace {

using Wide = unsigned __int128;

constexpr uint64_t kOne = uint64_t{1} << 16;

// Largest r with r * r <= x, for x < 2^126.
uint64_t SquareRoot(Wide x) {
  uint64_t low = 0;
  uint64_t high = uint64_t{1} << 63;
  while (high - low > 1) {
    const uint64_t middle = low + (high - low) / 2;
    if (static_cast<Wide>(middle) * middle <= x) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return low;
}

// max(a / b, b / a) in units of 2^-32.
uint64_t Ratio(uint64_t a, uint64_t b) {
  return static_cast<uint64_t>((static_cast<Wide>(std::max(a, b)) << 32) / std::min(a, b));
}

}  // namespace

Grid ChooseGrid(uint32_t width, uint32_t height, uint64_t area, uint32_t budget,
                uint32_t max_grid) {
  area = std::min(area, uint64_t{budget} << 32);
  uint64_t rows = SquareRoot(static_cast<Wide>(area) * height / width);
  uint64_t columns = SquareRoot(static_cast<Wide>(area) * width / height);
  const uint64_t longest = max_grid * kOne;
  if (rows > longest) {
    columns = static_cast<uint64_t>(static_cast<Wide>(columns) * longest / rows);
    rows = longest;
  }
  if (columns > longest) {
    rows = static_cast<uint64_t>(static_cast<Wide>(rows) * longest / columns);
    columns = longest;
  }
  rows = std::clamp(rows, kOne, budget * kOne);
  columns = std::clamp(columns, kOne, budget * kOne);

  Grid best;
  uint64_t best_error = 0;
  for (uint64_t r = rows / kOne; r <= rows / kOne + 1; ++r) {
    for (uint64_t c = columns / kOne; c <= columns / kOne + 1; ++c) {
      if (r > max_grid || c > max_grid || r * c > budget) continue;
      const uint64_t error = std::max(Ratio(r * kOne, rows), Ratio(c * kOne, columns));
      const bool better = best.rows == 0 || error < best_error ||
                          (error == best_error && r * c < uint64_t{best.rows} * best.columns);
      if (!better) continue;
      best = {static_cast<uint32_t>(r), static_cast<uint32_t>(c)};
      best_error = error;
    }
  }
  return best;
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
