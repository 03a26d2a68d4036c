// Between rows of any length and rows of whole 16-byte units, which cuBLASLt's kernels for bf16
// want.
#ifndef NAVIT_KERNELS_CUDA_PADDED_ROWS_H_
#define NAVIT_KERNELS_CUDA_PADDED_ROWS_H_

#include <cstdint>

#include "kernels/cuda/bf16.h"
#include "kernels/cuda/launch.h"

namespace navit::kernels::cuda {

inline constexpr int64_t kPaddedMultiple = 8;
inline constexpr int64_t PaddedLength(int64_t length) {
  return (length + kPaddedMultiple - 1) / kPaddedMultiple * kPaddedMultiple;
}

// to [padded_rows, PaddedLength(dim)] = from [rows, dim], zeros behind its rows and columns;
// padded_rows is not below rows. All arrays of this file are in device memory, 16-byte aligned, and
// do not alias.
struct PadRowsArgs {
  int64_t rows = 0, dim = 0, padded_rows = 0;
  const Bf16* from = nullptr;
  Bf16* to = nullptr;
};

// to [rows, dim] = from + bias (+ to), rounded to bf16: of each row of from [rows,
// PaddedLength(dim)] the first dim columns.
struct RoundPaddedRowsArgs {
  int64_t rows = 0, dim = 0;
  const float* from = nullptr;
  const Bf16* bias = nullptr;  // [dim]; null: none
  Bf16* to = nullptr;
  bool accumulate = false;
};

// to [rows, dim] += from [rows, PaddedLength(dim)], its first dim columns.
struct AddPaddedRowsArgs {
  int64_t rows = 0, dim = 0;
  const float* from = nullptr;
  float* to = nullptr;
};

LaunchError PadRows(const PadRowsArgs& args, Stream stream);
LaunchError RoundPaddedRows(const RoundPaddedRowsArgs& args, Stream stream);
LaunchError AddPaddedRows(const AddPaddedRowsArgs& args, Stream stream);

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_PADDED_ROWS_H_
