// The decision of linear_tune.
#ifndef NAVIT_KERNELS_BENCH_ALGORITHM_CHOICE_H_
#define NAVIT_KERNELS_BENCH_ALGORITHM_CHOICE_H_

#include <cstddef>
#include <functional>
#include <optional>
#include <vector>

namespace navit::kernels::cuda {

// Times of one algorithm in two measurements differ by about as much.
inline constexpr double kTimingNoise = 1.01;

// Which of the candidates to take: the fastest for which `is_right`, asked by time until it says
// yes. `seconds` of candidate 0, which the heuristic likes best, stand as long as no other one is
// faster by more than the noise, so that equal algorithms do not take turns from run to run.
// Nothing: none is right, or the one that is is slower by more than the noise than what runs
// without a choice, in `seconds_without`.
std::optional<size_t> ChooseAlgorithm(double seconds_without, const std::vector<double>& seconds,
                                      const std::function<bool(size_t)>& is_right);

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_BENCH_ALGORITHM_CHOICE_H_
