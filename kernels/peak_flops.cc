#include "kernels/peak_flops.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <numeric>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/peak_flops.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace navit::kernels {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Runs ten chains of `rounds` multiply-adds; returns the number of operations. `sink` takes a value
// that depends on all of them. The chains start from ten numbers of `starts`, which the compiler
// does not know: equal chains would be computed once.
double MultiplyAdds(int64_t rounds, const float* starts, float* sink) {
  const hn::ScalableTag<float> d;
  auto a0 = hn::Set(d, starts[0]), a1 = hn::Set(d, starts[1]), a2 = hn::Set(d, starts[2]),
       a3 = hn::Set(d, starts[3]), a4 = hn::Set(d, starts[4]), a5 = hn::Set(d, starts[5]),
       a6 = hn::Set(d, starts[6]), a7 = hn::Set(d, starts[7]), a8 = hn::Set(d, starts[8]),
       a9 = hn::Set(d, starts[9]);
  const auto x = hn::Set(d, 0.999999f), y = hn::Set(d, 1e-6f);
  for (int64_t i = 0; i < rounds; ++i) {
    a0 = hn::MulAdd(a0, x, y), a1 = hn::MulAdd(a1, x, y), a2 = hn::MulAdd(a2, x, y);
    a3 = hn::MulAdd(a3, x, y), a4 = hn::MulAdd(a4, x, y), a5 = hn::MulAdd(a5, x, y);
    a6 = hn::MulAdd(a6, x, y), a7 = hn::MulAdd(a7, x, y), a8 = hn::MulAdd(a8, x, y);
    a9 = hn::MulAdd(a9, x, y);
  }
  const auto low = hn::Add(hn::Add(hn::Add(a0, a1), hn::Add(a2, a3)), a4);
  const auto high = hn::Add(hn::Add(hn::Add(a5, a6), hn::Add(a7, a8)), a9);
  *sink = hn::GetLane(hn::Add(low, high));
  return static_cast<double>(rounds) * 10 * 2 * static_cast<double>(hn::Lanes(d));
}

}  // namespace HWY_NAMESPACE
}  // namespace navit::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace navit::kernels {

namespace {
HWY_EXPORT(MultiplyAdds);
}  // namespace

double ProbePeakFlops(ThreadPool& pool) {
  using Clock = std::chrono::steady_clock;
  constexpr int64_t kRounds = 1'000'000;
  constexpr float kStarts[10] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  double best = 0;
  for (int run = 0; run < 5; ++run) {
    std::vector<double> rates(pool.num_threads());
    pool.ParallelFor(pool.num_threads(), /*grain=*/1, [&](int64_t begin, int64_t) {
      float sink = 0;
      const auto start = Clock::now();
      const double operations = HWY_DYNAMIC_DISPATCH(MultiplyAdds)(kRounds, kStarts, &sink);
      volatile const float kept = sink;
      (void)kept;
      rates[begin] = operations / std::chrono::duration<double>(Clock::now() - start).count();
    });
    best = std::max(best, std::accumulate(rates.begin(), rates.end(), 0.0));
  }
  return best;
}

}  // namespace navit::kernels
#endif  // HWY_ONCE
