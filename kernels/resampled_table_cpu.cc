#include "kernels/resampled_table.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/resampled_table_cpu.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "hwy/highway.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace navit::kernels {
namespace HWY_NAMESPACE {

// to[j] += weight * from[j] for columns [begin, end).
void AddWeighted(const float* from, float weight, int64_t begin, int64_t end, float* to) {
  const V factor = hn::Set(D(), weight);
  for (int64_t j = begin; j < end; j += Lanes()) {
    const int64_t n = end - j;
    StoreUpTo(hn::MulAdd(factor, LoadUpTo(from + j, n), LoadUpTo(to + j, n)), to + j, n);
  }
}

// Calls body(cell, weight) for the cells of the table that token t reads.
template <typename Body>
HWY_INLINE void ForCells(const float* weights, int64_t t, int64_t table_rows, const Body& body) {
  const float* row = weights + t * 2 * table_rows;
  const float* column = row + table_rows;
  for (int64_t r = 0; r < table_rows; ++r) {
    if (row[r] == 0) continue;
    for (int64_t c = 0; c < table_rows; ++c) {
      if (column[c] != 0) body(r * table_rows + c, row[r] * column[c]);
    }
  }
}

void ForwardRange(const ResampledTableForwardArgs& args, int64_t begin, int64_t end) {
  for (int64_t t = begin; t < end; ++t) {
    ForCells(args.weights, t, args.table_rows, [&](int64_t cell, float weight) {
      AddWeighted(args.table + cell * args.dim, weight, 0, args.dim, args.x + t * args.dim);
    });
  }
}

// Columns [begin, end) of the table, over all tokens in order.
void BackwardRange(const ResampledTableBackwardArgs& args, int64_t begin, int64_t end) {
  for (int64_t t = 0; t < args.tokens; ++t) {
    ForCells(args.weights, t, args.table_rows, [&](int64_t cell, float weight) {
      AddWeighted(args.dx + t * args.dim, weight, begin, end, args.dtable + cell * args.dim);
    });
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

void ResampledTableForward(const ResampledTableForwardArgs& args, ThreadPool& pool) {
  pool.ParallelFor(args.tokens, 1, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(ForwardRange)(args, begin, end);
  });
}

void ResampledTableBackward(const ResampledTableBackwardArgs& args, ThreadPool& pool) {
  pool.ParallelFor(args.dim, 32, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(BackwardRange)(args, begin, end);
  });
}

}  // namespace navit::kernels
#endif  // HWY_ONCE
