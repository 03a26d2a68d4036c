// Rows of bf16, one to a warp, for kernels that reduce over rows. For .cu files.
#ifndef NAVIT_KERNELS_CUDA_ROWS_H_
#define NAVIT_KERNELS_CUDA_ROWS_H_

#include <cstdint>

#include "kernels/cuda/device.h"

namespace navit::kernels::cuda {

// Eight bf16 values at i of a row of `dim` values that starts at `row`; zeros behind its end. One
// access where dim allows it.
NAVIT_DEVICE void LoadEight(float (&values)[8], Global<const Bf16> row, int64_t i, int64_t dim) {
  if (dim % 8 == 0) {
    Unpack(row.LoadAs<Vector16>(i), values);
    return;
  }
  NAVIT_UNROLL
  for (int j = 0; j < 8; ++j) values[j] = i + j < dim ? ToFloat(row.Load(i + j)) : 0;
}

NAVIT_DEVICE void StoreEight(const float (&values)[8], Global<Bf16> row, int64_t i, int64_t dim) {
  if (dim % 8 == 0) {
    row.StoreAs<Vector16>(i, Pack(values));
    return;
  }
  NAVIT_UNROLL
  for (int j = 0; j < 8; ++j) {
    if (i + j < dim) row.Store(i + j, ToBf16(values[j]));
  }
}

// The same of fp32 values, which are few and stay in the caches.
NAVIT_DEVICE void LoadEight(float (&values)[8], Global<const float> row, int64_t i, int64_t dim) {
  NAVIT_UNROLL
  for (int j = 0; j < 8; ++j) values[j] = i + j < dim ? row.Load(i + j) : 0;
}

// Blocks of kRowWarps warps, a row each.
inline constexpr int kRowWarps = 4;
inline constexpr int kRowThreads = kRowWarps * kWarp;
inline constexpr int64_t RowBlocks(int64_t rows) { return (rows + kRowWarps - 1) / kRowWarps; }
NAVIT_DEVICE int64_t RowIndex() { return BlockIndex() * kRowWarps + WarpIndex(); }

// What a lane of the warp takes of its row: pieces of eight values, 256 apart.
inline constexpr int kRowStep = kWarp * 8;
NAVIT_DEVICE int64_t RowBegin() { return LaneIndex() * 8; }

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_ROWS_H_
