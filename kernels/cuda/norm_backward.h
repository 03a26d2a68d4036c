// The backward pass of norms over rows: RMSNorm and, kCentred, LayerNorm. For .cu files.
#ifndef NAVIT_KERNELS_CUDA_NORM_BACKWARD_H_
#define NAVIT_KERNELS_CUDA_NORM_BACKWARD_H_

#include <cstdint>

#include "kernels/cuda/column_sum.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/rows.h"

namespace navit::kernels::cuda {

// With x̂ = x·scale + shift and g = gain·dy: dx = scale·(g − mean(g) − x̂·mean(g·x̂)), and the
// columns' sums of dy·x̂ and dy; unless kCentred, without shift, mean(g) and the sum of dy.
struct NormBackwardArgs {
  int64_t rows, dim;
  const Bf16* x;
  const float* gain;
  const float* scale;
  const float* shift;
  const Bf16* dy;
  Bf16* dx;  // may be dy: a row is read before it is written
  bool accumulate;
  float* partial;  // [slabs, dim] of dy·x̂, then, kCentred, of dy
};

// A block has a slab of kColumnSumSlab rows, a warp of it every kWarps-th. So x and dy come from
// memory once. Sums of columns lie in shared memory, each lane's apart, which leaves the registers
// to the rows' loads.
template <bool kCentred, int kWarps>
struct NormBackwardKernel {
  struct Args {
    NormBackwardArgs norm;
    int64_t slabs, padded;  // dim, up to whole pieces
  };
  static constexpr int kThreads = kWarps * kWarp;
  static constexpr int kSums = kCentred ? 2 : 1;

  static int64_t SharedBytes(int64_t padded) {
    return kWarps * kSums * padded * static_cast<int64_t>(sizeof(float));
  }

  // Where a warp keeps the sum of column i: of a piece the first four columns of all lanes, then
  // the second four, so that a warp's vectors touch all banks.
  NAVIT_DEVICE static int64_t Place(int64_t i) {
    const int64_t in_piece = i % kRowStep;
    return i - in_piece + in_piece / 4 % 2 * (kRowStep / 2) + in_piece / 8 * 4 + in_piece % 4;
  }

  NAVIT_DEVICE static void AddEight(const float (&terms)[8], Shared<float> sums, int64_t i) {
    NAVIT_UNROLL
    for (int half = 0; half < 2; ++half) {
      const int64_t place = i - RowBegin() + half * (kRowStep / 2) + LaneIndex() * 4;
      auto sum = sums.LoadAs<FourFloats>(place);
      NAVIT_UNROLL
      for (int j = 0; j < 4; ++j) sum.value[j] += terms[half * 4 + j];
      sums.StoreAs(place, sum);
    }
  }

  NAVIT_DEVICE static void Row(const NormBackwardArgs& args, int64_t row, Shared<float> sums,
                               int64_t padded) {
    const int64_t dim = args.dim;
    const bool one_group = dim <= RowGroup::kColumns;
    const Global<const Bf16> x = Global<const Bf16>(args.x) + row * dim;
    const Global<const Bf16> dy = Global<const Bf16>(args.dy) + row * dim;
    const Global<const Bf16> before = Global<const Bf16>(args.dx) + row * dim;
    const Global<const float> gain(args.gain);
    const float scale = Global<const float>(args.scale).Load(row);
    const float shift = kCentred ? Global<const float>(args.shift).Load(row) : 0;
    RowGroup values, gradients, results;
    float sum = 0, along = 0;
    for (int64_t first = 0; first < dim; first += RowGroup::kColumns) {
      values.Load(x, first, dim);
      gradients.Load(dy, first, dim);
      if (one_group && args.accumulate) results.Load(before, first, dim);
      NAVIT_UNROLL
      for (int k = 0; k < RowGroup::kPieces; ++k) {
        const int64_t i = RowGroup::Column(first, k);
        if (i >= dim) break;
        float units[8], terms[8], gains[8];
        Unpack(values.piece[k], units);
        Unpack(gradients.piece[k], terms);
        LoadEight(gains, gain, i, dim);
        if (kCentred) AddEight(terms, sums + kWarps * padded, i);
        NAVIT_UNROLL
        for (int j = 0; j < 8; ++j) {
          const float g = gains[j] * terms[j];
          sum += g;
          units[j] = Fma(units[j], scale, shift);
          along = Fma(g, units[j], along);
          terms[j] *= units[j];
        }
        AddEight(terms, sums, i);
      }
    }
    const float mean = kCentred ? LaneSum(sum) / static_cast<float>(dim) : 0;
    const float mean_along = LaneSum(along) / static_cast<float>(dim);
    for (int64_t first = 0; first < dim; first += RowGroup::kColumns) {
      if (!one_group) {
        values.Load(x, first, dim);
        gradients.Load(dy, first, dim);
        if (args.accumulate) results.Load(before, first, dim);
      }
      NAVIT_UNROLL
      for (int k = 0; k < RowGroup::kPieces; ++k) {
        const int64_t i = RowGroup::Column(first, k);
        if (i >= dim) break;
        float units[8], dys[8], gains[8], result[8];
        Unpack(values.piece[k], units);
        Unpack(gradients.piece[k], dys);
        Unpack(results.piece[k], result);  // zeros unless `accumulate`
        LoadEight(gains, gain, i, dim);
        NAVIT_UNROLL
        for (int j = 0; j < 8; ++j) {
          const float unit = Fma(units[j], scale, shift);
          result[j] += scale * (gains[j] * dys[j] - mean - unit * mean_along);
        }
        StoreEight(result, Global<Bf16>(args.dx) + row * dim, i, dim);
      }
    }
  }

  NAVIT_DEVICE static void Run(const Args& kernel_args) {
    const NormBackwardArgs& args = kernel_args.norm;
    const int64_t dim = args.dim, padded = kernel_args.padded;
    const Shared<float> shared = SharedMemory<float>(0, kWarps * kSums * padded);
    const Shared<float> mine = shared + WarpIndex() * padded;
    // A lane clears what it adds to, so no barrier follows.
    for (int s = 0; s < kSums; ++s) {
      for (int64_t i = LaneIndex() * 4; i < padded; i += kWarp * 4) {
        mine.StoreAs(s * kWarps * padded + i, FourFloats{});
      }
    }
    const int64_t begin = BlockIndex() * kColumnSumSlab;
    const int64_t end = begin + kColumnSumSlab < args.rows ? begin + kColumnSumSlab : args.rows;
    for (int64_t row = begin + WarpIndex(); row < end; row += kWarps) Row(args, row, mine, padded);
    BlockBarrier();
    const Global<float> partial(args.partial);
    for (int s = 0; s < kSums; ++s) {
      for (int64_t i = ThreadIndex(); i < dim; i += kThreads) {
        float total = 0;
        for (int warp = 0; warp < kWarps; ++warp) {
          total += shared.Load((s * kWarps + warp) * padded + Place(i));
        }
        partial.Store((s * kernel_args.slabs + BlockIndex()) * dim + i, total);
      }
    }
  }
};

// dgain [dim] and, kCentred, dbias [dim] += the columns' sums.
template <bool kCentred>
LaunchError NormBackward(const NormBackwardArgs& args, float* dgain, float* dbias, Stream stream) {
  using Kernel = NormBackwardKernel<kCentred, 8>;
  // Wide rows leave shared memory to fewer warps.
  using Wide = NormBackwardKernel<kCentred, 2>;
  constexpr int64_t kMaxBytes = int64_t{96} << 10;
  const int64_t slabs = ColumnSumSlabs(args.rows);
  const int64_t padded = (args.dim + kRowStep - 1) / kRowStep * kRowStep;
  const int64_t bytes = Kernel::SharedBytes(padded);
  LaunchError error =
      bytes <= kMaxBytes
          ? Launch<Kernel>({slabs, Kernel::kThreads, bytes}, stream, {args, slabs, padded})
          : Launch<Wide>({slabs, Wide::kThreads, Wide::SharedBytes(padded)}, stream,
                         {args, slabs, padded});
  if (error.ok()) error = AddRows(slabs, args.dim, args.partial, dgain, stream);
  if (!error.ok() || !kCentred) return error;
  return AddRows(slabs, args.dim, args.partial + slabs * args.dim, dbias, stream);
}

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_NORM_BACKWARD_H_
