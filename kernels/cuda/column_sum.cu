#include "kernels/cuda/column_sum.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/rows.h"
#include "kernels/cuda/slab_sum.h"

namespace navit::kernels::cuda {
namespace {

constexpr int64_t Blocks(int64_t count, int64_t per_block) {
  return (count + per_block - 1) / per_block;
}

struct Term {
  struct Args {
    const Bf16* a;
    const Bf16* b;
  };
  struct Loaded {
    Vector16 a, b;
  };

  NAVIT_DEVICE Term(const Args& args, int64_t i, int64_t dim)
      : a_(args.a), b_(args.b), i_(i), dim_(dim) {}

  NAVIT_DEVICE Loaded Load(int64_t row) const {
    Loaded loaded = {LoadPacked(a_ + row * dim_, i_, dim_), {}};
    if (b_) loaded.b = LoadPacked(b_ + row * dim_, i_, dim_);
    return loaded;
  }
  NAVIT_DEVICE void Take(int64_t /*row*/, const Loaded& loaded, float (&terms)[8]) const {
    Unpack(loaded.a, terms);
    if (!b_) return;
    float factors[8];
    Unpack(loaded.b, factors);
    NAVIT_UNROLL
    for (int j = 0; j < 8; ++j) terms[j] *= factors[j];
  }

 private:
  const Global<const Bf16> a_, b_;
  const int64_t i_, dim_;
};

// The warps of a block sum rows side by side, 32 columns each; their sums are added up in order.
struct AddRowsKernel {
  struct Args {
    int64_t rows, dim;
    const float* from;
    float* sum;
  };
  static constexpr int kThreads = 1024;
  static constexpr int kWarps = kThreads / kWarp;
  static constexpr int kBatch = 8;  // rows whose loads are in flight together

  NAVIT_DEVICE static void Run(const Args& args) {
    const Shared<float> shared = SharedMemory<float>(0, kThreads);
    const int64_t column = BlockIndex() * kWarp + LaneIndex();
    float total = 0;
    if (column < args.dim) {
      const Global<const float> from(args.from);
      for (int64_t first = WarpIndex(); first < args.rows; first += kWarps * kBatch) {
        float values[kBatch] = {};
        NAVIT_UNROLL
        for (int k = 0; k < kBatch; ++k) {
          const int64_t row = first + k * kWarps;
          if (row < args.rows) values[k] = from.Load(row * args.dim + column);
        }
        NAVIT_UNROLL
        for (int k = 0; k < kBatch; ++k) total += values[k];
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
  return WalkSlabs<Term>(args.rows, args.dim, {args.a, args.b}, args.sum, args.partial, stream);
}

}  // namespace navit::kernels::cuda
