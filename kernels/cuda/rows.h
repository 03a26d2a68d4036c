// Rows of bf16, one to a warp, for kernels that reduce over rows. For .cu files.
#ifndef NAVIT_KERNELS_CUDA_ROWS_H_
#define NAVIT_KERNELS_CUDA_ROWS_H_

#include <cstdint>

#include "kernels/cuda/device.h"

namespace navit::kernels::cuda {

// Eight bf16 values at i of a row of `dim` values that starts at `row`; zeros behind its end. One
// access where dim allows it.
NAVIT_DEVICE Vector16 LoadPacked(Global<const Bf16> row, int64_t i, int64_t dim) {
  if (dim % 8 == 0) return row.LoadAs<Vector16>(i);
  float values[8];
  NAVIT_UNROLL
  for (int j = 0; j < 8; ++j) values[j] = i + j < dim ? ToFloat(row.Load(i + j)) : 0;
  return Pack(values);
}

NAVIT_DEVICE void LoadEight(float (&values)[8], Global<const Bf16> row, int64_t i, int64_t dim) {
  Unpack(LoadPacked(row, i, dim), values);
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

struct alignas(16) FourFloats {
  float value[4];
};

// The same of fp32 values, in two accesses where dim allows it.
NAVIT_DEVICE void LoadEight(float (&values)[8], Global<const float> row, int64_t i, int64_t dim) {
  if (dim % 8 == 0) {
    const FourFloats halves[2] = {row.LoadAs<FourFloats>(i), row.LoadAs<FourFloats>(i + 4)};
    NAVIT_UNROLL
    for (int j = 0; j < 8; ++j) values[j] = halves[j / 4].value[j % 4];
    return;
  }
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

// Up to 1024 neighbouring columns of a row, whose loads are in flight together.
struct RowGroup {
  static constexpr int kPieces = 4;
  static constexpr int64_t kColumns = kPieces * kRowStep;
  Vector16 piece[kPieces] = {};

  // First of the columns that this lane has in a piece of the group that begins at `first`.
  NAVIT_DEVICE static int64_t Column(int64_t first, int k) {
    return first + k * kRowStep + RowBegin();
  }
  // From column `first` on; pieces behind the row's end stay as they are.
  NAVIT_DEVICE void Load(Global<const Bf16> row, int64_t first, int64_t dim) {
    NAVIT_UNROLL
    for (int k = 0; k < kPieces; ++k) {
      if (Column(first, k) < dim) piece[k] = LoadPacked(row, Column(first, k), dim);
    }
  }
};

// A Body has Args and a NAVIT_DEVICE static void At(const Args&, int64_t row), which all lanes of a
// warp call.
template <typename Body>
struct RowKernel {
  struct Args {
    int64_t rows;
    typename Body::Args body;
  };
  static constexpr int kThreads = kRowThreads;

  NAVIT_DEVICE static void Run(const Args& args) {
    const int64_t row = RowIndex();
    if (row < args.rows) Body::At(args.body, row);
  }
};

// Calls Body::At(args, row) for rows [0, rows), in no order.
template <typename Body>
LaunchError ForEachRow(int64_t rows, const typename Body::Args& args, Stream stream) {
  return Launch<RowKernel<Body>>({RowBlocks(rows), kRowThreads, 0}, stream, {rows, args});
}

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_ROWS_H_
