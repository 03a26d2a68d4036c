#include "kernels/column_sum.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/column_sum_cpu.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "hwy/cache_control.h"
#include "hwy/highway.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace navit::kernels {
namespace HWY_NAMESPACE {

// Rows are walked in strips of so many vectors: a strip of one would take a cache line of each row,
// and come back for the next.
constexpr int64_t kStrip = 4;
// Rows lie far apart, where no hardware looks ahead.
constexpr int64_t kRowsAhead = 8;

// kVectors vectors of columns from `column`, of which `width` columns exist.
template <bool kTimesB, bool kTimesW, int64_t kVectors>
HWY_INLINE void SumStrip(const ColumnSumArgs& args, int64_t column, int64_t width) {
  constexpr int64_t kRowBlock = 128;
  const D d;
  const int64_t lanes = Lanes();
  V total[kVectors], sum[kVectors];
  for (V& value : total) value = hn::Zero(d);
  for (int64_t block = 0; block < args.rows; block += kRowBlock) {
    const int64_t block_end = HWY_MIN(args.rows, block + kRowBlock);
    for (V& value : sum) value = hn::Zero(d);
    for (int64_t r = block; r < block_end; ++r) {
      const float* a = args.a + r * args.a_row + column;
      const float* b = kTimesB ? args.b + r * args.b_row + column : nullptr;
      for (int64_t i = 0; i < kVectors; ++i) {
        hwy::Prefetch(a + kRowsAhead * args.a_row + i * lanes);
        V value = LoadUpTo(a + i * lanes, width - i * lanes);
        if constexpr (kTimesW) value = hn::Mul(value, hn::Set(d, args.w[r * args.w_row]));
        if constexpr (kTimesB) {
          sum[i] = hn::MulAdd(value, LoadUpTo(b + i * lanes, width - i * lanes), sum[i]);
        } else {
          sum[i] = hn::Add(sum[i], value);
        }
      }
    }
    for (int64_t i = 0; i < kVectors; ++i) total[i] = hn::Add(total[i], sum[i]);
  }
  for (int64_t i = 0; i < kVectors; ++i) {
    float* to = args.sum + column + i * lanes;
    const int64_t left = width - i * lanes;
    StoreUpTo(hn::Add(LoadUpTo(to, left), total[i]), to, left);
  }
}

template <bool kTimesB, bool kTimesW>
void SumStrips(const ColumnSumArgs& args, int64_t begin, int64_t end) {
  const int64_t lanes = Lanes();
  int64_t column = begin;
  for (; column + kStrip * lanes <= end; column += kStrip * lanes) {
    SumStrip<kTimesB, kTimesW, kStrip>(args, column, kStrip * lanes);
  }
  for (; column < end; column += lanes) SumStrip<kTimesB, kTimesW, 1>(args, column, end - column);
}

// Columns [begin, end).
void ColumnSumRange(const ColumnSumArgs& args, int64_t begin, int64_t end) {
  if (args.b == nullptr && args.w == nullptr) SumStrips<false, false>(args, begin, end);
  if (args.b == nullptr && args.w != nullptr) SumStrips<false, true>(args, begin, end);
  if (args.b != nullptr && args.w == nullptr) SumStrips<true, false>(args, begin, end);
  if (args.b != nullptr && args.w != nullptr) SumStrips<true, true>(args, begin, end);
}

}  // namespace HWY_NAMESPACE
}  // namespace navit::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace navit::kernels {

namespace {
HWY_EXPORT(ColumnSumRange);
}  // namespace

void ColumnSum(const ColumnSumArgs& args) {
  HWY_DYNAMIC_DISPATCH(ColumnSumRange)(args, 0, args.dim);
}

void ColumnSum(const ColumnSumArgs& args, ThreadPool& pool) {
  pool.ParallelFor(args.dim, 64, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(ColumnSumRange)(args, begin, end);
  });
}

}  // namespace navit::kernels
#endif  // HWY_ONCE
