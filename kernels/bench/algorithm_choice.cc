#include "kernels/bench/algorithm_choice.h"

#include <algorithm>
#include <numeric>

namespace navit::kernels::cuda {

std::optional<size_t> ChooseAlgorithm(double seconds_without, const std::vector<double>& seconds,
                                      const std::function<bool(size_t)>& is_right) {
  const auto handicapped = [&](size_t i) { return seconds[i] * (i == 0 ? 1 : kTimingNoise); };
  std::vector<size_t> order(seconds.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return handicapped(a) < handicapped(b); });
  for (const size_t i : order) {
    if (seconds[i] > kTimingNoise * seconds_without) continue;
    if (is_right(i)) return i;
  }
  return std::nullopt;
}

}  // namespace navit::kernels::cuda
