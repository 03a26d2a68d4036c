#include <algorithm>

#include "kernels/gemm.h"
#include "kernels/scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/gemm_cpu.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "hwy/highway.h"
#include "kernels/packed_product-inl.h"

#ifndef NAVIT_KERNELS_GEMM_BLOCKS_
#define NAVIT_KERNELS_GEMM_BLOCKS_
namespace navit::kernels {

// A block of kKBlock × kColumnBlock of B is packed at a time and stays in the second-level cache;
// kRowBlock rows of a packed A likewise. kColumnBlock is a multiple of every target's panel.
constexpr int64_t kKBlock = 384;
constexpr int64_t kColumnBlock = 384;
constexpr int64_t kRowBlock = 96;
// Rows of A that are a multiple of this apart (2 KiB) lie in one or two of the 64 sets of the
// first-level cache, and are copied to ones that do not. Four sets are enough for a tile's.
constexpr int64_t kAliasedStride = 512;
constexpr int64_t kPaddedRow = kKBlock + 16;

}  // namespace navit::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace navit::kernels {
namespace HWY_NAMESPACE {

// Rows [m_begin, m_end) and columns [n_begin, n_begin + n) of C; n <= kColumnBlock.
void GemmBlock(const GemmArgs& args, int64_t m_begin, int64_t m_end, int64_t n_begin, int64_t n,
               float* packed_a, float* packed_b) {
  int64_t k_begin = 0;
  do {
    const int64_t k = HWY_MIN(kKBlock, args.k - k_begin);
    const bool last = k_begin + k == args.k;
    PackB(args.b + k_begin * args.b_k + n_begin * args.b_column, args.b_k, args.b_column, k, n,
          packed_b);
    for (int64_t block = m_begin; block < m_end; block += kRowBlock) {
      const int64_t rows = HWY_MIN(kRowBlock, m_end - block);
      PackedProductArgs product = {
          .m = rows,
          .n = n,
          .k = k,
          .a = args.a + block * args.a_row + k_begin * args.a_k,
          .a_row = args.a_row,
          .b = packed_b,
          .b_rows = k,
          .b_columns = n,
          .c = args.c + block * args.c_row + n_begin,
          .c_row = args.c_row,
          .accumulate = k_begin > 0 || args.accumulate,
          .bias = last && args.bias != nullptr ? args.bias + n_begin : nullptr};
      if (args.a_k == 1) {
        if (args.a_row % kAliasedStride == 0) {
          CopyRows(product.a, args.a_row, rows, k, packed_a, kPaddedRow);
          product.a = packed_a;
          product.a_row = kPaddedRow;
        }
        PackedProduct<Rows::kStrided>(product);
      } else {
        PackA(product.a, args.a_k, rows, k, packed_a);
        product.a = packed_a;
        PackedProduct<Rows::kPacked>(product);
      }
    }
    k_begin += k;
  } while (k_begin < args.k);
}

}  // namespace HWY_NAMESPACE
}  // namespace navit::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace navit::kernels {
namespace {

HWY_EXPORT(GemmBlock);

void Block(const GemmArgs& args, int64_t m_begin, int64_t m_end, int64_t n_begin, int64_t n) {
  float* packed_a = Scratch(ScratchUse::kGemmA, kRowBlock * kPaddedRow);
  float* packed_b = Scratch(ScratchUse::kGemmB, kColumnBlock * kKBlock);
  HWY_DYNAMIC_DISPATCH(GemmBlock)(args, m_begin, m_end, n_begin, n, packed_a, packed_b);
}

}  // namespace

void Gemm(const GemmArgs& args, ThreadPool& pool) {
  if (args.m == 0 || args.n == 0) return;
  const int64_t column_blocks = (args.n + kColumnBlock - 1) / kColumnBlock;
  // Every part of the rows packs its block of B again, which costs as much as some rows: rows are
  // cut only for want of tasks. Three a thread lose little where one thread is slower than another.
  const int64_t wanted = pool.num_threads() == 1 ? 1 : 3 * pool.num_threads();
  const int64_t row_parts =
      std::max<int64_t>(1, std::min(wanted / column_blocks, args.m / kRowBlock));
  const int64_t part_rows =
      ((args.m + row_parts - 1) / row_parts + kRowBlock - 1) / kRowBlock * kRowBlock;
  pool.ParallelTasks(column_blocks * row_parts, [&](int64_t task) {
    const int64_t n_begin = task / row_parts * kColumnBlock;
    const int64_t m_begin = task % row_parts * part_rows;
    const int64_t m_end = std::min(args.m, m_begin + part_rows);
    if (m_begin >= m_end) return;
    Block(args, m_begin, m_end, n_begin, std::min(kColumnBlock, args.n - n_begin));
  });
}

}  // namespace navit::kernels
#endif  // HWY_ONCE
