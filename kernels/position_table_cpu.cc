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

// Up to `n` floats at column j of a table whose rows have `row` floats.
HWY_INLINE V Read(const float* table, const PositionTap& tap, int64_t row, int64_t j, int64_t n) {
  const V low = LoadUpTo(table + tap.low * row + j, n);
  const V high = LoadUpTo(table + tap.high * row + j, n);
  return hn::MulAdd(hn::Set(D(), tap.weight), hn::Sub(high, low), low);
}

HWY_INLINE void AddTo(V value, float factor, float* to, int64_t n) {
  StoreUpTo(hn::MulAdd(hn::Set(D(), factor), value, LoadUpTo(to, n)), to, n);
}

HWY_INLINE void Add(V value, const PositionTap& tap, int64_t row, int64_t j, int64_t n,
                    float* table) {
  AddTo(value, 1 - tap.weight, table + tap.low * row + j, n);
  if (tap.weight > 0) AddTo(value, tap.weight, table + tap.high * row + j, n);
}

void ForwardToken(const PositionTableForwardArgs& args, const PositionTap& row,
                  const PositionTap& column, float* x) {
  const int64_t lanes = Lanes(), dim = args.dim;
  if (args.combination == PositionCombination::kStack) {
    const int64_t half = dim / 2;
    for (int64_t j = 0; j < half; j += lanes) {
      const int64_t n = half - j;
      AddTo(Read(args.row_table, row, half, j, n), 1, x + j, n);
      AddTo(Read(args.column_table, column, half, j, n), 1, x + half + j, n);
    }
    return;
  }
  const int64_t side = args.table_rows * dim;
  for (int64_t j = 0; j < dim; j += lanes) {
    const int64_t n = dim - j;
    V value;
    if (args.combination == PositionCombination::kJoint) {
      const V low = Read(args.row_table + row.low * side, column, dim, j, n);
      const V high = Read(args.row_table + row.high * side, column, dim, j, n);
      value = hn::MulAdd(hn::Set(D(), row.weight), hn::Sub(high, low), low);
    } else {
      const V a = Read(args.row_table, row, dim, j, n);
      const V b = Read(args.column_table, column, dim, j, n);
      value = args.combination == PositionCombination::kSum ? hn::Add(a, b) : hn::Mul(a, b);
    }
    AddTo(value, 1, x + j, n);
  }
}

void ForwardRange(const PositionTableForwardArgs& args, int64_t begin, int64_t end) {
  for (int64_t t = begin; t < end; ++t) {
    ForwardToken(args, PositionTap(args.coordinates[2 * t], args.table_rows),
                 PositionTap(args.coordinates[2 * t + 1], args.table_rows), args.x + t * args.dim);
  }
}

// Columns [begin, end) of the tables, over all tokens in order.
void BackwardRange(const PositionTableBackwardArgs& args, int64_t begin, int64_t end) {
  const int64_t lanes = Lanes(), dim = args.dim, half = dim / 2, side = args.table_rows * dim;
  for (int64_t t = 0; t < args.tokens; ++t) {
    const PositionTap row(args.coordinates[2 * t], args.table_rows);
    const PositionTap column(args.coordinates[2 * t + 1], args.table_rows);
    const float* dx = args.dx + t * dim;
    for (int64_t j = begin; j < end; j += lanes) {
      const int64_t n = end - j;
      const V value = LoadUpTo(dx + j, n);
      switch (args.combination) {
        case PositionCombination::kSum:
          Add(value, row, dim, j, n, args.drow_table);
          Add(value, column, dim, j, n, args.dcolumn_table);
          break;
        case PositionCombination::kProduct:
          Add(hn::Mul(value, Read(args.column_table, column, dim, j, n)), row, dim, j, n,
              args.drow_table);
          Add(hn::Mul(value, Read(args.row_table, row, dim, j, n)), column, dim, j, n,
              args.dcolumn_table);
          break;
        case PositionCombination::kStack:
          Add(value, row, half, j, n, args.drow_table);
          Add(LoadUpTo(dx + half + j, n), column, half, j, n, args.dcolumn_table);
          break;
        case PositionCombination::kJoint: {
          const V weight = hn::Set(D(), row.weight);
          Add(hn::NegMulAdd(weight, value, value), column, dim, j, n,
              args.drow_table + row.low * side);
          if (row.weight == 0) break;
          Add(hn::Mul(weight, value), column, dim, j, n, args.drow_table + row.high * side);
          break;
        }
      }
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
  const bool stack = args.combination == PositionCombination::kStack;
  pool.ParallelFor(stack ? args.dim / 2 : args.dim, 32, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(BackwardRange)(args, begin, end);
  });
}

}  // namespace navit::kernels
#endif  // HWY_ONCE
