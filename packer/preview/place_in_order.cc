#include <algorithm>
#include <cmath>
#include <cstddef>

#include "packer/preview/sequence_picture.h"

namespace navit::preview_internal {

// With each border less the widths and gaps before it, the order says only that they rise: isotonic
// regression, by pooling neighbours that are out of order.
std::vector<int> PlaceInOrder(absl::Span<const int> widths, absl::Span<const double> centres,
                              int gap, int left, int right) {
  struct Pool {
    double sum;
    int count;
    double mean() const { return sum / count; }
  };
  std::vector<Pool> pools;
  int before = 0;
  for (size_t i = 0; i < widths.size(); ++i) {
    pools.push_back({centres[i] - widths[i] / 2.0 - before, 1});
    while (pools.size() > 1 && pools[pools.size() - 2].mean() > pools.back().mean()) {
      pools[pools.size() - 2].sum += pools.back().sum;
      pools[pools.size() - 2].count += pools.back().count;
      pools.pop_back();
    }
    before += widths[i] + gap;
  }
  const double most = right - (before - gap);
  std::vector<int> borders;
  before = 0;
  for (const Pool& pool : pools) {
    const double at = std::max<double>(left, std::min(pool.mean(), most));
    for (int i = 0; i < pool.count; ++i) {
      borders.push_back(static_cast<int>(std::floor(at)) + before);
      before += widths[borders.size() - 1] + gap;
    }
  }
  return borders;
}

}  // namespace navit::preview_internal
