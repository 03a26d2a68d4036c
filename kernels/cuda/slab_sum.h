// Kernels that walk over rows of bf16 and may sum columns of what they make there. For .cu files.
#ifndef NAVIT_KERNELS_CUDA_SLAB_SUM_H_
#define NAVIT_KERNELS_CUDA_SLAB_SUM_H_

#include <cstdint>

#include "kernels/cuda/column_sum.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/rows.h"

namespace navit::kernels::cuda {

// A block has a slab of kColumnSumSlab rows and a piece of kRowStep columns; a warp of it every
// kWarps-th row, of which a lane has eight columns. A Body is made once for the eight columns from
// i on, and keeps what all rows share:
//   struct Args { … };                       // plain data
//   struct Loaded { … };                     // what it reads of a row
//   Body(const Args& args, int64_t i, int64_t dim);
//   Loaded Load(int64_t row) const;
//   void Take(int64_t row, const Loaded&, float (&terms)[8]) const;  // `terms` go into the sums
// The loads of kBatch rows come before anything is taken, so that they are in flight together.
template <typename Body>
struct SlabKernel {
  struct Args {
    int64_t rows, dim, pieces;
    float* partial;  // [ColumnSumSlabs(rows), dim], or null: no sums
    typename Body::Args body;
  };
  static constexpr int kThreads = 256;
  static constexpr int kWarps = kThreads / kWarp;
  static constexpr int kBatch = 4;
  static constexpr int64_t kSharedBytes = kWarps * kRowStep * sizeof(float);

  NAVIT_DEVICE static void Walk(const Args& args, int64_t slab, int64_t i, float (&sums)[8]) {
    const int64_t begin = slab * kColumnSumSlab;
    const int64_t end = begin + kColumnSumSlab < args.rows ? begin + kColumnSumSlab : args.rows;
    const Body body(args.body, i, args.dim);
    for (int64_t row = begin + WarpIndex(); row < end; row += kWarps * kBatch) {
      typename Body::Loaded loaded[kBatch] = {};
      NAVIT_UNROLL
      for (int k = 0; k < kBatch; ++k) {
        if (row + k * kWarps < end) loaded[k] = body.Load(row + k * kWarps);
      }
      NAVIT_UNROLL
      for (int k = 0; k < kBatch; ++k) {
        if (row + k * kWarps >= end) break;
        float terms[8];
        body.Take(row + k * kWarps, loaded[k], terms);
        NAVIT_UNROLL
        for (int j = 0; j < 8; ++j) sums[j] += terms[j];
      }
    }
  }

  NAVIT_DEVICE static void Run(const Args& args) {
    // A division of 32 bits takes a fraction of the instructions of 64.
    const auto block = static_cast<uint32_t>(BlockIndex());
    const auto pieces = static_cast<uint32_t>(args.pieces);
    const int64_t slab = block / pieces;
    const int64_t first = block % pieces * kRowStep;
    float sums[8] = {};
    if (first + RowBegin() < args.dim) Walk(args, slab, first + RowBegin(), sums);
    if (args.partial == nullptr) return;
    const Shared<float> shared = SharedMemory<float>(0, kWarps * kRowStep);
    NAVIT_UNROLL
    for (int j = 0; j < 8; ++j) shared.Store(WarpIndex() * kRowStep + RowBegin() + j, sums[j]);
    BlockBarrier();
    const int column = ThreadIndex();
    if (first + column >= args.dim) return;
    float total = 0;
    for (int warp = 0; warp < kWarps; ++warp) total += shared.Load(warp * kRowStep + column);
    Global<float>(args.partial).Store(slab * args.dim + first + column, total);
  }
};

// Walks over all rows; with `partial`, sum [dim] += the terms, in the order of column_sum.h.
template <typename Body>
LaunchError WalkSlabs(int64_t rows, int64_t dim, const typename Body::Args& args, float* sum,
                      float* partial, Stream stream) {
  using Kernel = SlabKernel<Body>;
  static_assert(Kernel::kThreads == kRowStep, "a thread sums one column of the piece");
  const int64_t pieces = (dim + kRowStep - 1) / kRowStep, slabs = ColumnSumSlabs(rows);
  const LaunchError error = Launch<Kernel>({slabs * pieces, Kernel::kThreads, Kernel::kSharedBytes},
                                           stream, {rows, dim, pieces, partial, args});
  if (!error.ok() || partial == nullptr) return error;
  return AddRows(slabs, dim, partial, sum, stream);
}

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_SLAB_SUM_H_
