#include "kernels/position_table.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/position_table_cpu.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "hwy/highway.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace navit::kernels {
namespace HWY_NAMESPACE {

void ForwardRange(const PositionTableForwardArgs& args, int64_t begin, int64_t end) {
  const int64_t lanes = Lanes();
  for (int64_t t = begin; t < end; ++t) {
    const float* row = args.row_table + args.positions[2 * t] * args.dim;
    const float* column = args.column_table + args.positions[2 * t + 1] * args.dim;
    float* x = args.x + t * args.dim;
    for (int64_t j = 0; j < args.dim; j += lanes) {
      const int64_t width = args.dim - j;
      const V position = hn::Add(LoadUpTo(row + j, width), LoadUpTo(column + j, width));
      StoreUpTo(hn::Add(LoadUpTo(x + j, width), position), x + j, width);
    }
  }
}

// Columns [begin, end) of the tables, over all tokens in order.
void BackwardRange(const PositionTableBackwardArgs& args, int64_t begin, int64_t end) {
  const int64_t lanes = Lanes();
  for (int64_t t = 0; t < args.tokens; ++t) {
    float* drow = args.drow_table + args.positions[2 * t] * args.dim;
    float* dcolumn = args.dcolumn_table + args.positions[2 * t + 1] * args.dim;
    const float* dx = args.dx + t * args.dim;
    for (int64_t j = begin; j < end; j += lanes) {
      const int64_t width = end - j;
      const V value = LoadUpTo(dx + j, width);
      StoreUpTo(hn::Add(LoadUpTo(drow + j, width), value), drow + j, width);
      StoreUpTo(hn::Add(LoadUpTo(dcolumn + j, width), value), dcolumn + j, width);
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

void PositionTableForward(const PositionTableForwardArgs& args, ThreadPool& pool) {
  pool.ParallelFor(args.tokens, 1, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(ForwardRange)(args, begin, end);
  });
}

void PositionTableBackward(const PositionTableBackwardArgs& args, ThreadPool& pool) {
  pool.ParallelFor(args.dim, 32, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(BackwardRange)(args, begin, end);
  });
}

}  // namespace navit::kernels
#endif  // HWY_ONCE
