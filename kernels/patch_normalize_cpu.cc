#include "kernels/patch_normalize.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/patch_normalize_cpu.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "hwy/highway.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace navit::kernels {
namespace HWY_NAMESPACE {

// Values [begin, end) of the flattened input; begin is a multiple of 3. y = x·slope[c] + offset[c].
void PatchNormalizeRange(const PatchNormalizeArgs& args, int64_t begin, int64_t end) {
  const D d;
  const hn::Rebind<int32_t, D> di;
  const hn::Rebind<uint8_t, D> d8;
  const int64_t lanes = Lanes();
  // Three vectors hold a whole number of pixels: the channel pattern repeats after them.
  HWY_ALIGN float slope[3 * HWY_MAX_BYTES / sizeof(float)];
  HWY_ALIGN float offset[3 * HWY_MAX_BYTES / sizeof(float)];
  for (int64_t i = 0; i < 3 * lanes; ++i) {
    slope[i] = static_cast<float>(1.0 / (255.0 * args.std[i % 3]));
    offset[i] = static_cast<float>(-static_cast<double>(args.mean[i % 3]) / args.std[i % 3]);
  }
  int64_t at = begin;
  for (; at + 3 * lanes <= end; at += 3 * lanes) {
    for (int64_t part = 0; part < 3 * lanes; part += lanes) {
      const V x = hn::ConvertTo(d, hn::PromoteTo(di, hn::LoadU(d8, args.x + at + part)));
      const V y = hn::MulAdd(x, hn::Load(d, slope + part), hn::Load(d, offset + part));
      hn::StoreU(y, d, args.y + at + part);
    }
  }
  if (at == end) return;
  HWY_ALIGN float x[3 * HWY_MAX_BYTES / sizeof(float)] = {};
  for (int64_t i = 0; i < end - at; ++i) x[i] = args.x[at + i];
  for (int64_t part = 0; part < end - at; part += lanes) {
    const V y =
        hn::MulAdd(hn::Load(d, x + part), hn::Load(d, slope + part), hn::Load(d, offset + part));
    StoreUpTo(y, args.y + at + part, end - at - part);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace navit::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace navit::kernels {

namespace {
HWY_EXPORT(PatchNormalizeRange);
}  // namespace

void PatchNormalize(const PatchNormalizeArgs& args, ThreadPool& pool) {
  pool.ParallelFor(args.tokens, 1, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(PatchNormalizeRange)
    (args, begin * args.patch_values, end * args.patch_values);
  });
}

}  // namespace navit::kernels
#endif  // HWY_ONCE
