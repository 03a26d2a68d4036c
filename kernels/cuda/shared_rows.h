// Rows of bf16 in shared memory, laid so that matrix loads meet no bank twice. For .cu files.
#ifndef NAVIT_KERNELS_CUDA_SHARED_ROWS_H_
#define NAVIT_KERNELS_CUDA_SHARED_ROWS_H_

#include <cstdint>

#include "kernels/cuda/device.h"

namespace navit::kernels::cuda {

// Rows of kDim values, a multiple of 16. The 16-byte pieces of a row are exchanged by a pattern of
// the row's number, so that eight rows read at one column lie in different banks.
template <int kDim>
struct SharedRows {
  static constexpr int kPieces = kDim / 8;
  // The banks are eight pieces. kShared, the power of two in kPieces, is what a row's length and
  // the banks have in common: 8 / kShared rows begin in different ones, then they repeat. The next
  // rows exchange pieces inside of groups of kShared.
  static constexpr int kShared = kPieces % 8 == 0 ? 8 : kPieces % 4 == 0 ? 4 : 2;
  static constexpr int kShift = kShared == 8 ? 0 : kShared == 4 ? 1 : 2;  // log2(8 / kShared)
  static_assert(kPieces % 2 == 0);
  Shared<Bf16> data;

  NAVIT_DEVICE Shared<Bf16> Piece(int row, int piece) const {
    const int pattern = (row >> kShift) & (kShared - 1);
    return data + (row * kDim + (piece ^ pattern) * 8);
  }
  // Piece(row + lane_row, piece) for a multiple of 8 as `row`: what depends on the lane alone is
  // the same for all rows, and a loop over them adds one number.
  NAVIT_DEVICE Shared<Bf16> LanePiece(int row, int lane_row, int piece) const {
    return Piece(lane_row, piece) + row * kDim;
  }

  // B operands of 16 columns that are rows [row, row + 16), for values [16·k, 16·k + 16): b[0],
  // b[1] of the first eight columns, b[2], b[3] of the others.
  NAVIT_DEVICE void LoadAsColumns(uint32_t (&b)[4], int row, int k) const {
    const int lane = LaneIndex();
    LoadMatrix4(b, LanePiece(row, lane / 16 * 8 + lane % 8, 2 * k + lane / 8 % 2));
  }

  // B operands of columns that are values [16·n, 16·n + 16), summed over rows [row, row + 16).
  NAVIT_DEVICE void LoadAsRows(uint32_t (&b)[4], int row, int n) const {
    const int lane = LaneIndex();
    LoadMatrix4Transposed(b, LanePiece(row, lane % 16, 2 * n + lane / 16));
  }

  // The A operand of rows [row, row + 16), values [16·k, 16·k + 16).
  NAVIT_DEVICE void LoadOperand(uint32_t (&a)[4], int row, int k) const {
    const int lane = LaneIndex();
    LoadMatrix4(a, LanePiece(row, lane % 16, 2 * k + lane / 16));
  }

  // The A operand of the transpose: its rows are values [16·m, 16·m + 16), summed over rows [row,
  // row + 16).
  NAVIT_DEVICE void LoadOperandTransposed(uint32_t (&a)[4], int row, int m) const {
    const int lane = LaneIndex();
    LoadMatrix4Transposed(a, LanePiece(row, lane / 16 * 8 + lane % 8, 2 * m + lane / 8 % 2));
  }
};

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_SHARED_ROWS_H_
