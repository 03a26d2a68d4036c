#include "kernels/column_sum.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/column_sum_cpu.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "hwy/highway.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace navit::kernels {
namespace HWY_NAMESPACE {

// Columns [begin, end).
void ColumnSumRange(const ColumnSumArgs& args, int64_t begin, int64_t end) {
  constexpr int64_t kRowBlock = 128;
  const D d;
  const int64_t lanes = Lanes();
  for (int64_t column = begin; column < end; column += lanes) {
    const int64_t width = end - column;
    V total = hn::Zero(d);
    for (int64_t block = 0; block < args.rows; block += kRowBlock) {
      const int64_t block_end = HWY_MIN(args.rows, block + kRowBlock);
      V sum = hn::Zero(d);
      for (int64_t r = block; r < block_end; ++r) {
        V value = LoadUpTo(args.a + r * args.a_row + column, width);
        if (args.w != nullptr) value = hn::Mul(value, hn::Set(d, args.w[r * args.w_row]));
        if (args.b != nullptr) {
          sum = hn::MulAdd(value, LoadUpTo(args.b + r * args.b_row + column, width), sum);
        } else {
          sum = hn::Add(sum, value);
        }
      }
      total = hn::Add(total, sum);
    }
    float* to = args.sum + column;
    StoreUpTo(hn::Add(LoadUpTo(to, width), total), to, width);
  }
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
