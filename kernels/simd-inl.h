// What the SIMD kernels share. Included once per target, after hwy/highway.h, as Highway's own
// -inl.h files are.
#if defined(NAVIT_KERNELS_SIMD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef NAVIT_KERNELS_SIMD_INL_H_
#undef NAVIT_KERNELS_SIMD_INL_H_
#else
#define NAVIT_KERNELS_SIMD_INL_H_
#endif

#include <cstddef>
#include <cstdint>
#include <limits>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace navit::kernels {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

HWY_INLINE int64_t Lanes() { return static_cast<int64_t>(hn::Lanes(D())); }

// The first min(n, lanes) floats at `from`, then zeros; nothing behind them is read.
HWY_INLINE V LoadUpTo(const float* from, int64_t n) {
  const D d;
  if (HWY_LIKELY(n >= Lanes())) return hn::LoadU(d, from);
  // A masked load of the lesser targets reads the whole vector.
  if constexpr (HWY_TARGET <= HWY_AVX2) {
    return hn::MaskedLoad(hn::FirstN(d, static_cast<size_t>(n)), d, from);
  }
  HWY_ALIGN float buffer[HWY_MAX_BYTES / sizeof(float)] = {};
  for (int64_t i = 0; i < n; ++i) buffer[i] = from[i];
  return hn::Load(d, buffer);
}

// Writes the first min(n, lanes) lanes.
HWY_INLINE void StoreUpTo(V value, float* to, int64_t n) {
  const D d;
  if (HWY_LIKELY(n >= Lanes())) {
    hn::StoreU(value, d, to);
    return;
  }
  if constexpr (HWY_TARGET <= HWY_AVX2) {
    hn::BlendedStore(value, hn::FirstN(d, static_cast<size_t>(n)), d, to);
    return;
  }
  HWY_ALIGN float buffer[HWY_MAX_BYTES / sizeof(float)];
  hn::Store(value, d, buffer);
  for (int64_t i = 0; i < n; ++i) to[i] = buffer[i];
}

HWY_INLINE float ReduceAdd(V value) { return hn::GetLane(hn::SumOfLanes(D(), value)); }
HWY_INLINE float ReduceMax(V value) { return hn::GetLane(hn::MaxOfLanes(D(), value)); }

// Σ a·b.
HWY_INLINE float Dot(const float* a, const float* b, int64_t n) {
  const D d;
  const int64_t lanes = Lanes();
  V sum0 = hn::Zero(d), sum1 = hn::Zero(d), sum2 = hn::Zero(d), sum3 = hn::Zero(d);
  int64_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    sum0 = hn::MulAdd(hn::LoadU(d, a + i), hn::LoadU(d, b + i), sum0);
    sum1 = hn::MulAdd(hn::LoadU(d, a + i + lanes), hn::LoadU(d, b + i + lanes), sum1);
    sum2 = hn::MulAdd(hn::LoadU(d, a + i + 2 * lanes), hn::LoadU(d, b + i + 2 * lanes), sum2);
    sum3 = hn::MulAdd(hn::LoadU(d, a + i + 3 * lanes), hn::LoadU(d, b + i + 3 * lanes), sum3);
  }
  for (; i < n; i += lanes) {
    sum0 = hn::MulAdd(LoadUpTo(a + i, n - i), LoadUpTo(b + i, n - i), sum0);
  }
  return ReduceAdd(hn::Add(hn::Add(sum0, sum1), hn::Add(sum2, sum3)));
}

// eˣ to 2 ulp for x in [−87, 88]; 0 below (and for −∞), e⁸⁸ above. Cody-Waite reduction to
// [−ln2/2, ln2/2], then the Taylor polynomial of degree 7.
HWY_INLINE V Exp(V x) {
  const D d;
  const hn::RebindToSigned<D> di;
  const auto underflow = hn::Lt(x, hn::Set(d, -87.0f));
  x = hn::Min(hn::Max(x, hn::Set(d, -87.0f)), hn::Set(d, 88.0f));
  const V n = hn::Round(hn::Mul(x, hn::Set(d, 1.44269504088896f)));
  V r = hn::NegMulAdd(n, hn::Set(d, 0.693359375f), x);
  r = hn::NegMulAdd(n, hn::Set(d, -2.12194440e-4f), r);
  V p = hn::Set(d, 1.0f / 5040);
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f / 720));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f / 120));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f / 24));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f / 6));
  p = hn::MulAdd(p, r, hn::Set(d, 0.5f));
  p = hn::MulAdd(hn::Mul(p, r), r, hn::Add(r, hn::Set(d, 1.0f)));
  const auto exponent = hn::ShiftLeft<23>(hn::Add(hn::ConvertTo(di, n), hn::Set(di, 127)));
  return hn::IfThenElse(underflow, hn::Zero(d), hn::Mul(p, hn::BitCast(d, exponent)));
}

}  // namespace HWY_NAMESPACE
}  // namespace navit::kernels
HWY_AFTER_NAMESPACE();

#endif  // NAVIT_KERNELS_SIMD_INL_H_
