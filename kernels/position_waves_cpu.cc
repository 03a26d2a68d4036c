#include "kernels/position_waves.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/position_waves_cpu.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace navit::kernels {
namespace HWY_NAMESPACE {

// The frequencies [k, 2] of up to `n` waves, apart by axis.
HWY_INLINE void LoadFrequencies(const float* frequencies, int64_t n, V* row, V* column) {
  HWY_ALIGN float rows[HWY_MAX_BYTES / sizeof(float)] = {};
  HWY_ALIGN float columns[HWY_MAX_BYTES / sizeof(float)] = {};
  for (int64_t i = 0; i < HWY_MIN(n, Lanes()); ++i) {
    rows[i] = frequencies[2 * i];
    columns[i] = frequencies[2 * i + 1];
  }
  *row = hn::Load(D(), rows);
  *column = hn::Load(D(), columns);
}

HWY_INLINE V Phase(float scale, const float* at, V row, V column) {
  const D d;
  return hn::MulAdd(hn::Set(d, scale * at[0]), row, hn::Mul(hn::Set(d, scale * at[1]), column));
}

// Waves [begin, end) of all tokens: their frequencies stay in registers.
void ForwardRange(const PositionWavesForwardArgs& args, int64_t begin, int64_t end) {
  const D d;
  const int64_t half = args.dim / 2;
  for (int64_t k = begin; k < end; k += Lanes()) {
    const int64_t n = end - k;
    V row, column;
    LoadFrequencies(args.frequencies + 2 * k, n, &row, &column);
    for (int64_t t = 0; t < args.tokens; ++t) {
      const V phase = Phase(args.scale, args.coordinates + 2 * t, row, column);
      float* x = args.x + t * args.dim + k;
      StoreUpTo(hn::Add(LoadUpTo(x, n), hn::Sin(d, phase)), x, n);
      StoreUpTo(hn::Add(LoadUpTo(x + half, n), hn::Cos(d, phase)), x + half, n);
    }
  }
}

void BackwardRange(const PositionWavesBackwardArgs& args, int64_t begin, int64_t end) {
  const D d;
  const int64_t half = args.dim / 2;
  for (int64_t k = begin; k < end; k += Lanes()) {
    const int64_t n = end - k;
    V row, column;
    LoadFrequencies(args.frequencies + 2 * k, n, &row, &column);
    V drow = hn::Zero(d), dcolumn = hn::Zero(d);
    for (int64_t t = 0; t < args.tokens; ++t) {
      const float* at = args.coordinates + 2 * t;
      const V phase = Phase(args.scale, at, row, column);
      const float* dx = args.dx + t * args.dim + k;
      const V rise = hn::Mul(hn::Cos(d, phase), LoadUpTo(dx, n));
      const V dphase = hn::NegMulAdd(hn::Sin(d, phase), LoadUpTo(dx + half, n), rise);
      drow = hn::MulAdd(dphase, hn::Set(d, args.scale * at[0]), drow);
      dcolumn = hn::MulAdd(dphase, hn::Set(d, args.scale * at[1]), dcolumn);
    }
    HWY_ALIGN float rows[HWY_MAX_BYTES / sizeof(float)];
    HWY_ALIGN float columns[HWY_MAX_BYTES / sizeof(float)];
    hn::Store(drow, d, rows);
    hn::Store(dcolumn, d, columns);
    for (int64_t i = 0; i < HWY_MIN(n, Lanes()); ++i) {
      args.dfrequencies[2 * (k + i)] += rows[i];
      args.dfrequencies[2 * (k + i) + 1] += columns[i];
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace navit::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace navit::kernels {

namespace {
HWY_EXPORT(ForwardRange);
HWY_EXPORT(BackwardRange);
}  // namespace

void PositionWavesForward(const PositionWavesForwardArgs& args, ThreadPool& pool) {
  pool.ParallelFor(args.dim / 2, 16, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(ForwardRange)(args, begin, end);
  });
}

void PositionWavesBackward(const PositionWavesBackwardArgs& args, ThreadPool& pool) {
  pool.ParallelFor(args.dim / 2, 16, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(BackwardRange)(args, begin, end);
  });
}

}  // namespace navit::kernels
#endif  // HWY_ONCE
