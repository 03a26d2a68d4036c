// A block's tile of a matrix product: C [128, 128] = A·B over any depth, bf16 in, fp32 sums, which
// stay in registers for what the kernel does with them. For .cu files.
#ifndef NAVIT_KERNELS_CUDA_PRODUCT_TILES_H_
#define NAVIT_KERNELS_CUDA_PRODUCT_TILES_H_

#include <cstdint>

#include "kernels/cuda/device.h"
#include "kernels/cuda/shared_rows.h"

namespace navit::kernels::cuda {

inline constexpr int kProductTile = 128;
inline constexpr int kProductDepth = 64;  // of what is in shared memory at a time, per stage
inline constexpr int kProductStages = 3;
inline constexpr int kProductThreads = 256;
inline constexpr int kOperandBytes = kProductTile * kProductDepth * static_cast<int>(sizeof(Bf16));
inline constexpr int kProductSharedBytes = kProductStages * 2 * kOperandBytes;

inline constexpr int64_t ProductTiles(int64_t count) {
  return (count + kProductTile - 1) / kProductTile;
}

// One operand in global memory: a matrix [across, depth] or, kDepthFirst, [depth, across], of which
// the tile takes [first, first + 128) across. Zero outside of the matrix. `columns` and `stride`
// are multiples of 8; all counts but their product fit 32 bits.
template <bool kDepthFirst>
class ProductOperand {
 public:
  using Stage = SharedRows<kDepthFirst ? kProductTile : kProductDepth>;

  NAVIT_DEVICE ProductOperand(const Bf16* from, int64_t rows, int64_t columns, int64_t stride,
                              int64_t first)
      : from_(Global<const Bf16>(from) + first * (kDepthFirst ? 1 : stride)),
        stride_(static_cast<int>(stride)),
        rows_(static_cast<int>(kDepthFirst ? rows : rows - first)),
        columns_(static_cast<int>(kDepthFirst ? columns - first : columns)) {}

  // Starts to copy depths [depth, depth + kProductDepth).
  NAVIT_DEVICE void Copy(const Stage& to, int depth) const {
    const int64_t begin = kDepthFirst ? static_cast<int64_t>(depth) * stride_ : depth;
    const int rows = kDepthFirst ? rows_ - depth : rows_;
    const int columns = kDepthFirst ? columns_ : columns_ - depth;
    for (int i = ThreadIndex(); i < kRows * Stage::kPieces; i += kProductThreads) {
      const int row = i / Stage::kPieces, piece = i % Stage::kPieces;
      const bool valid = row < rows && piece * 8 < columns;
      CopyAsync16(to.Piece(row, piece), from_ + (valid ? begin + row * stride_ + piece * 8 : 0),
                  valid);
    }
  }

  // 16 places across from 16·at on, depths [16·k, 16·k + 16) of the stage, as A or as B.
  NAVIT_DEVICE static void LoadA(uint32_t (&a)[4], const Stage& stage, int at, int k) {
    if constexpr (kDepthFirst) {
      stage.LoadOperandTransposed(a, 16 * k, at);
    } else {
      stage.LoadOperand(a, 16 * at, k);
    }
  }
  NAVIT_DEVICE static void LoadB(uint32_t (&b)[4], const Stage& stage, int at, int k) {
    if constexpr (kDepthFirst) {
      stage.LoadAsRows(b, 16 * k, at);
    } else {
      stage.LoadAsColumns(b, 16 * at, k);
    }
  }

 private:
  static constexpr int kRows = kDepthFirst ? kProductDepth : kProductTile;

  const Global<const Bf16> from_;  // the tile's first value
  const int stride_;
  const int rows_, columns_;  // of the matrix, from there on
};

// The sums: eight warps, 2×4, have 64×32 each, as four by four C operands of Mma16x8x16. Sixteen
// slots of a lane: eight rows, eight columns.
struct ProductTile {
  static constexpr int kWarpRows = 64, kWarpColumns = 32;
  static constexpr int kSlots = 8;
  float c[4][4][4];

  // Element of a row slot and a column slot, and the places of the slots in the tile.
  NAVIT_DEVICE float& At(int row_slot, int column_slot) {
    return c[row_slot / 2][column_slot / 2][row_slot % 2 * 2 + column_slot % 2];
  }
  NAVIT_DEVICE static int Row(int slot) {
    return WarpIndex() / 4 * kWarpRows + slot / 2 * 16 + slot % 2 * 8 + LaneIndex() / 4;
  }
  NAVIT_DEVICE static int Column(int slot) {
    return WarpIndex() % 4 * kWarpColumns + slot / 2 * 8 + LaneIndex() % 4 * 2 + slot % 2;
  }

  // C = A·B over depths [0, depth). Uses kProductSharedBytes of shared memory from 0 on; ends
  // without a barrier.
  template <bool kADepthFirst, bool kBDepthFirst>
  NAVIT_DEVICE void Multiply(const ProductOperand<kADepthFirst>& a,
                             const ProductOperand<kBDepthFirst>& b, int depth) {
    NAVIT_UNROLL
    for (int r = 0; r < kSlots; ++r) {
      NAVIT_UNROLL
      for (int s = 0; s < kSlots; ++s) At(r, s) = 0;
    }
    const auto copy = [&](int at) {
      const int stage = at / kProductDepth % kProductStages;
      a.Copy(StageOf<kADepthFirst>(stage, 0), at);
      b.Copy(StageOf<kBDepthFirst>(stage, 1), at);
    };
    constexpr int kAhead = kProductStages - 1;
    NAVIT_UNROLL
    for (int i = 0; i < kAhead; ++i) {
      if (i * kProductDepth < depth) copy(i * kProductDepth);
      CopyAsyncCommit();
    }
    for (int at = 0; at < depth; at += kProductDepth) {
      CopyAsyncWait<kAhead - 1>();
      // All see this stage, and all have done with the one before, which is filled again.
      BlockBarrier();
      if (at + kAhead * kProductDepth < depth) copy(at + kAhead * kProductDepth);
      CopyAsyncCommit();
      const int stage = at / kProductDepth % kProductStages;
      AddStage<kADepthFirst, kBDepthFirst>(StageOf<kADepthFirst>(stage, 0),
                                           StageOf<kBDepthFirst>(stage, 1));
    }
  }

 private:
  template <bool kDepthFirst>
  NAVIT_DEVICE static typename ProductOperand<kDepthFirst>::Stage StageOf(int stage, int operand) {
    return {
        SharedMemory<Bf16>((2 * stage + operand) * kOperandBytes, kProductTile * kProductDepth)};
  }

  template <bool kADepthFirst, bool kBDepthFirst>
  NAVIT_DEVICE void AddStage(const typename ProductOperand<kADepthFirst>::Stage& a_rows,
                             const typename ProductOperand<kBDepthFirst>::Stage& b_rows) {
    const int first_row = WarpIndex() / 4 * kWarpRows / 16;
    const int first_column = WarpIndex() % 4 * kWarpColumns / 16;
    NAVIT_UNROLL_TWICE
    for (int k = 0; k < kProductDepth / 16; ++k) {
      uint32_t b[2][4];
      NAVIT_UNROLL
      for (int n = 0; n < 2; ++n) {
        ProductOperand<kBDepthFirst>::LoadB(b[n], b_rows, first_column + n, k);
      }
      NAVIT_UNROLL
      for (int m = 0; m < 4; ++m) {
        uint32_t a[4];
        ProductOperand<kADepthFirst>::LoadA(a, a_rows, first_row + m, k);
        NAVIT_UNROLL
        for (int n = 0; n < 4; ++n) {
          Mma16x8x16(c[m][n], a, b[n / 2][n % 2 * 2], b[n / 2][n % 2 * 2 + 1]);
        }
      }
    }
  }
};

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_PRODUCT_TILES_H_
