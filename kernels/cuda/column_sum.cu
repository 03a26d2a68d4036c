#include "kernels/cuda/column_sum.h"
#include "kernels/cuda/device.h"

namespace navit::kernels::cuda {
namespace {

constexpr int64_t Blocks(int64_t count, int64_t per_block) {
  return (count + per_block - 1) / per_block;
}

// A thread sums one column of one slab.
struct SlabKernel {
  struct Args {
    ColumnSumArgs sum;
    int64_t column_blocks;
  };
  static constexpr int kThreads = 128;

  NAVIT_DEVICE static void Run(const Args& args) {
    const ColumnSumArgs& sum = args.sum;
    const int64_t slab = BlockIndex() / args.column_blocks;
    const int64_t column = BlockIndex() % args.column_blocks * kThreads + ThreadIndex();
    if (column >= sum.dim) return;
    const Global<const Bf16> a(sum.a), b(sum.b);
    const Global<const float> w(sum.w), shift(sum.shift);
    const int64_t begin = slab * kColumnSumSlab;
    const int64_t end = begin + kColumnSumSlab < sum.rows ? begin + kColumnSumSlab : sum.rows;
    float total = 0;
    for (int64_t row = begin; row < end; ++row) {
      float factor = b ? ToFloat(b.Load(row * sum.dim + column)) : 1;
      if (w) factor *= w.Load(row);
      if (shift) factor += shift.Load(row);
      total = Fma(ToFloat(a.Load(row * sum.dim + column)), factor, total);
    }
    Global<float>(sum.partial).Store(slab * sum.dim + column, total);
  }
};

// Eight rows are summed side by side by the warps of a block, 32 columns each, then added up in
// order.
struct AddRowsKernel {
  struct Args {
    int64_t rows, dim;
    const float* from;
    float* sum;
  };
  static constexpr int kThreads = 256;
  static constexpr int kWarps = kThreads / kWarp;

  NAVIT_DEVICE static void Run(const Args& args) {
    const Shared<float> shared = SharedMemory<float>(0, kThreads);
    const int64_t column = BlockIndex() * kWarp + LaneIndex();
    float total = 0;
    if (column < args.dim) {
      const Global<const float> from(args.from);
      for (int64_t row = WarpIndex(); row < args.rows; row += kWarps) {
        total += from.Load(row * args.dim + column);
      }
    }
    shared.Store(ThreadIndex(), total);
    BlockBarrier();
    if (WarpIndex() != 0 || column >= args.dim) return;
    const Global<float> sum(args.sum);
    for (int warp = 1; warp < kWarps; ++warp) total += shared.Load(warp * kWarp + LaneIndex());
    sum.Store(column, sum.Load(column) + total);
  }
};

}  // namespace

LaunchError AddRows(int64_t rows, int64_t dim, const float* from, float* sum, Stream stream) {
  if (rows == 0) return {};
  return Launch<AddRowsKernel>({Blocks(dim, kWarp), AddRowsKernel::kThreads,
                                static_cast<int64_t>(AddRowsKernel::kThreads * sizeof(float))},
                               stream, {rows, dim, from, sum});
}

LaunchError ColumnSum(const ColumnSumArgs& args, Stream stream) {
  const int64_t slabs = ColumnSumSlabs(args.rows);
  const int64_t column_blocks = Blocks(args.dim, SlabKernel::kThreads);
  const LaunchError error = Launch<SlabKernel>({slabs * column_blocks, SlabKernel::kThreads, 0},
                                               stream, {args, column_blocks});
  if (!error.ok()) return error;
  return AddRows(slabs, args.dim, args.partial, args.sum, stream);
}

}  // namespace navit::kernels::cuda
