#include "kernels/ema.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/ema_cpu.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "hwy/highway.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace navit::kernels {
namespace HWY_NAMESPACE {

void EmaRange(const EmaArgs& args, int64_t begin, int64_t end) {
  const V rate = hn::Set(D(), static_cast<float>(1 - args.decay));
  for (int64_t i = begin; i < end; i += Lanes()) {
    const V average = LoadUpTo(args.average + i, end - i);
    const V change = hn::Sub(LoadUpTo(args.value + i, end - i), average);
    StoreUpTo(hn::MulAdd(rate, change, average), args.average + i, end - i);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace navit::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace navit::kernels {
namespace {
HWY_EXPORT(EmaRange);
}  // namespace

void Ema(const EmaArgs& args, ThreadPool& pool) {
  pool.ParallelFor(args.count, 4096, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(EmaRange)(args, begin, end);
  });
}

}  // namespace navit::kernels
#endif  // HWY_ONCE
