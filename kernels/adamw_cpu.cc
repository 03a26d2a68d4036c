#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/adamw.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/adamw_cpu.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "hwy/highway.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace navit::kernels {
namespace HWY_NAMESPACE {

void AdamWRange(const AdamWArgs& args, double correction1, double correction2, int64_t begin,
                int64_t end) {
  const D d;
  const int64_t lanes = Lanes();
  const V grad_scale = hn::Set(d, static_cast<float>(args.grad_scale));
  const V beta1 = hn::Set(d, static_cast<float>(args.beta1));
  const V beta2 = hn::Set(d, static_cast<float>(args.beta2));
  const V rest1 = hn::Set(d, static_cast<float>(1 - args.beta1));
  const V rest2 = hn::Set(d, static_cast<float>(1 - args.beta2));
  const V keep = hn::Set(d, static_cast<float>(1 - args.lr * args.weight_decay));
  const V rate = hn::Set(d, static_cast<float>(args.lr / correction1));
  const V inv_root2 = hn::Set(d, static_cast<float>(1 / std::sqrt(correction2)));
  const V eps = hn::Set(d, static_cast<float>(args.eps));
  for (int64_t i = begin; i < end; i += lanes) {
    const int64_t width = end - i;
    const V g = hn::Mul(LoadUpTo(args.grad + i, width), grad_scale);
    const V m = hn::MulAdd(beta1, LoadUpTo(args.m + i, width), hn::Mul(rest1, g));
    const V v = hn::MulAdd(beta2, LoadUpTo(args.v + i, width), hn::Mul(rest2, hn::Mul(g, g)));
    const V denominator = hn::MulAdd(hn::Sqrt(v), inv_root2, eps);
    const V decayed = hn::Mul(LoadUpTo(args.param + i, width), keep);
    StoreUpTo(hn::NegMulAdd(rate, hn::Div(m, denominator), decayed), args.param + i, width);
    StoreUpTo(m, args.m + i, width);
    StoreUpTo(v, args.v + i, width);
  }
}

// Two sums of alternate vectors in double.
double SumSquaresOf(const float* x, int64_t count) {
  const hn::Repartition<double, D> dd;
  const hn::Half<D> half;
  const int64_t lanes = Lanes();
  auto low = hn::Zero(dd), high = hn::Zero(dd);
  for (int64_t i = 0; i < count; i += lanes) {
    const V value = LoadUpTo(x + i, count - i);
    const auto a = hn::PromoteTo(dd, hn::LowerHalf(half, value));
    const auto b = hn::PromoteTo(dd, hn::UpperHalf(half, value));
    low = hn::MulAdd(a, a, low);
    high = hn::MulAdd(b, b, high);
  }
  return hn::GetLane(hn::SumOfLanes(dd, hn::Add(low, high)));
}

void ScaleRange(float* x, float factor, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; i += Lanes()) {
    StoreUpTo(hn::Mul(LoadUpTo(x + i, end - i), hn::Set(D(), factor)), x + i, end - i);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace navit::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace navit::kernels {

namespace {
HWY_EXPORT(AdamWRange);
HWY_EXPORT(SumSquaresOf);
HWY_EXPORT(ScaleRange);

// Ranges of threads begin at multiples of this, so that tails fall at the end alone.
constexpr int64_t kGrain = 1024;
constexpr int64_t kSumBlock = 16384;
}  // namespace

void AdamW(const AdamWArgs& args, ThreadPool& pool) {
  const double correction1 = 1 - std::pow(args.beta1, static_cast<double>(args.step));
  const double correction2 = 1 - std::pow(args.beta2, static_cast<double>(args.step));
  pool.ParallelFor(args.count, kGrain, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(AdamWRange)(args, correction1, correction2, begin, end);
  });
}

double SumSquares(const float* x, int64_t count, ThreadPool& pool) {
  std::vector<double> sums((count + kSumBlock - 1) / kSumBlock);
  pool.ParallelTasks(static_cast<int64_t>(sums.size()), [&](int64_t block) {
    const int64_t begin = block * kSumBlock;
    sums[block] = HWY_DYNAMIC_DISPATCH(SumSquaresOf)(x + begin, std::min(kSumBlock, count - begin));
  });
  double total = 0;
  for (double sum : sums) total += sum;
  return total;
}

void Scale(float* x, int64_t count, float factor, ThreadPool& pool) {
  pool.ParallelFor(count, kGrain, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(ScaleRange)(x, factor, begin, end);
  });
}

}  // namespace navit::kernels
#endif  // HWY_ONCE
