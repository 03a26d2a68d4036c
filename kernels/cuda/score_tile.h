// Scores of a strip, a chunk of rows at a time: a product writes the cosines of the chunk's pairs
// to memory, and kernels read them in tiles of 128 × 128 that lie in registers. For .cu files.
#ifndef NAVIT_KERNELS_CUDA_SCORE_TILE_H_
#define NAVIT_KERNELS_CUDA_SCORE_TILE_H_

#include <cstdint>

#include "kernels/cuda/contrastive.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/linear.h"

namespace navit::kernels::cuda {

inline constexpr int kScoreTile = 128;
inline constexpr int kScoreThreads = 256;

inline constexpr int64_t ScoreTiles(int64_t count) { return (count + kScoreTile - 1) / kScoreTile; }

// Rows [row, row + rows) of the strip with all of its columns. Arrays over a chunk are of whole
// tiles: [row_tiles·128, stride].
struct ScoreChunk {
  int64_t row, rows;
  int64_t row_tiles, column_tiles;
  int64_t stride;

  ScoreChunk(const ContrastiveStrip& strip, int64_t row)
      : row(row),
        rows(strip.rows - row < strip.chunk ? strip.rows - row : strip.chunk),
        row_tiles(ScoreTiles(rows)),
        column_tiles(ScoreTiles(strip.columns)),
        stride(column_tiles * kScoreTile) {}

  int64_t tiles() const { return row_tiles * column_tiles; }
  int64_t elements() const { return tiles() * kScoreTile * kScoreTile; }
};

// x·yᵀ of the chunk to cosines [row_tiles·128, stride]; what lies outside of the strip stays as it
// is.
inline LaunchError ChunkCosines(const ContrastiveStrip& strip, const ScoreChunk& chunk,
                                LinearEngine& engine, float* cosines, Stream stream) {
  const int64_t dim = strip.dim;
  return engine.Multiply({.rows = chunk.rows,
                          .columns = strip.columns,
                          .depth = dim,
                          .a = strip.x + chunk.row * dim,
                          .a_stride = dim,
                          .b = strip.y,
                          .b_stride = dim,
                          .b_transposed = true,
                          .to = cosines,
                          .to_stride = chunk.stride},
                         stream);
}

// Which elements of a tile a thread has: 8 × 8 slots. Warps have 64 rows × 32 columns, two warps
// above each other and four side by side; four lanes side by side have 64 bytes of a row in one
// access.
struct ScoreSlots {
  static constexpr int kSlots = 8;

  NAVIT_DEVICE static int Row(int slot) {
    return WarpIndex() / 4 * 64 + slot * 8 + LaneIndex() / 4;
  }
  // Slots 0 to 3, and 4 to 7, are neighbours.
  NAVIT_DEVICE static int Column(int slot) {
    return WarpIndex() % 4 * 32 + slot / 4 * 16 + LaneIndex() % 4 * 4 + slot % 4;
  }
};

// Those of row slots [first_slot, first_slot + kRowSlots) in registers. At counts them from there.
template <int kRowSlots>
class ScoreRegisters : public ScoreSlots {
 public:
  NAVIT_DEVICE explicit ScoreRegisters(int first_slot) : first_slot_(first_slot) {}

  NAVIT_DEVICE float& At(int row_slot, int column_slot) { return values_[row_slot][column_slot]; }
  NAVIT_DEVICE int first_slot() const { return first_slot_; }

  // From the tile's first element; zeros behind `rows` and `columns` of it.
  NAVIT_DEVICE void Load(Global<const float> from, int stride, int rows, int columns) {
    NAVIT_UNROLL
    for (int r = 0; r < kRowSlots; ++r) {
      NAVIT_UNROLL
      for (int s = 0; s < kSlots; s += 4) {
        const int row = Row(first_slot_ + r), column = Column(s);
        const Global<const float> at = from + (row * stride + column);
        if (row < rows && column + 4 <= columns) {
          const Four four = at.LoadAs<Four>(0);
          NAVIT_UNROLL
          for (int i = 0; i < 4; ++i) At(r, s + i) = four.value[i];
        } else {
          NAVIT_UNROLL
          for (int i = 0; i < 4; ++i) {
            At(r, s + i) = row < rows && column + i < columns ? at.Load(i) : 0;
          }
        }
      }
    }
  }

  // Rounded to bf16, also what lies behind the strip.
  NAVIT_DEVICE void StoreBf16(Global<Bf16> to, int stride) {
    NAVIT_UNROLL
    for (int r = 0; r < kRowSlots; ++r) {
      NAVIT_UNROLL
      for (int s = 0; s < kSlots; s += 4) {
        to.StoreAs<FourBf16>(
            Row(first_slot_ + r) * stride + Column(s),
            {PackBf16(At(r, s), At(r, s + 1)), PackBf16(At(r, s + 2), At(r, s + 3))});
      }
    }
  }

 private:
  struct alignas(16) Four {
    float value[4];
  };
  struct alignas(8) FourBf16 {
    uint32_t low, high;
  };

  const int first_slot_;
  float values_[kRowSlots][kSlots];
};

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_SCORE_TILE_H_
