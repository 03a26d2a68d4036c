// Which pairs of a tile of contrastive scores count, and which are positives. For .cu files.
#ifndef NAVIT_KERNELS_CUDA_CONTRASTIVE_PAIRS_H_
#define NAVIT_KERNELS_CUDA_CONTRASTIVE_PAIRS_H_

#include <cstdint>

#include "kernels/cuda/contrastive.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/score_tile.h"

namespace navit::kernels::cuda {

struct PairKind {
  bool counts;
  bool positive;  // then it counts
};

// 128 values in shared memory, one for each row or column of a tile: factor·from[first + i] +
// shift, zero from `count` on and where `from` is null. Seen behind the next barrier.
class TileValues {
 public:
  static constexpr int kSharedBytes = kScoreTile * static_cast<int>(sizeof(float));

  NAVIT_DEVICE TileValues(int offset, const float* from, int64_t first, int64_t count, float factor,
                          float shift)
      : values_(SharedMemory<float>(offset, kScoreTile)) {
    if (ThreadIndex() >= kScoreTile) return;
    const int64_t at = first + ThreadIndex();
    const bool given = from != nullptr && at < count;
    values_.Store(ThreadIndex(),
                  given ? Fma(factor, Global<const float>(from).Load(at), shift) : 0);
  }

  NAVIT_DEVICE float OfRow(int slot) const { return values_.Load(ScoreSlots::Row(slot)); }
  NAVIT_DEVICE float OfColumn(int slot) const { return values_.Load(ScoreSlots::Column(slot)); }

 private:
  const Shared<float> values_;
};

// The tile of scores whose first pair is (row, column) of the strip.
class ScoreTile {
 public:
  static constexpr int kSharedBytes = 2 * kScoreTile * 16;

  // `offset`: kSharedBytes of shared memory. What is stored there is seen behind the next barrier.
  NAVIT_DEVICE ScoreTile(const ContrastiveStrip& strip, int64_t row, int64_t column, int offset)
      : strip_(strip),
        row_(row),
        column_(column),
        rows_(SharedMemory<RowKey>(offset, kScoreTile)),
        columns_(SharedMemory<ColumnKey>(offset + kSharedBytes / 2, kScoreTile)) {
    const int at = ThreadIndex() % kScoreTile;
    if (ThreadIndex() < kScoreTile) {
      rows_.Store(at, KeyOfRow(row + at));
    } else if (ThreadIndex() < 2 * kScoreTile) {
      columns_.Store(at, KeyOfColumn(column + at));
    }
  }

  // Column by column calls rule.Column(column slot), and for each of its pairs rule.Row(row slot)
  // and rule.Pair(element, kind, row slot, column slot). Little is held in registers beside the
  // tile.
  template <int kRowSlots, typename Rule>
  NAVIT_DEVICE void Visit(ScoreRegisters<kRowSlots>& tile, Rule& rule) const {
    NAVIT_UNROLL
    for (int s = 0; s < ScoreSlots::kSlots; ++s) {
      const ColumnKey column = columns_.Load(ScoreSlots::Column(s));
      rule.Column(s);
      NAVIT_UNROLL
      for (int i = 0; i < kRowSlots; ++i) {
        const int r = tile.first_slot() + i;
        const RowKey row = rows_.Load(ScoreSlots::Row(r));
        rule.Row(r);
        rule.Pair(tile.At(i, s), Kind(row, column, s), r, s);
      }
    }
  }

  // One value for each of the tile's rows or columns, from an array with one for each of the
  // strip's.
  NAVIT_DEVICE TileValues RowValues(int offset, const float* from, float factor,
                                    float shift = 0) const {
    return TileValues(offset, from, row_, strip_.rows, factor, shift);
  }
  NAVIT_DEVICE TileValues ColumnValues(int offset, const float* from, float factor,
                                       float shift = 0) const {
    return TileValues(offset, from, column_, strip_.columns, factor, shift);
  }

 private:
  static constexpr int32_t kInvalid = -1 << 30;

  struct alignas(16) RowKey {
    uint64_t hash;  // 0: unknown
    int32_t own;    // the row's own column, in the tile; kInvalid: the row is invalid
    int32_t unused;
  };
  struct alignas(16) ColumnKey {
    uint64_t hash;
    int32_t valid;
    int32_t unused;
  };

  NAVIT_DEVICE static uint64_t Hash(const uint64_t* hashes, int64_t at) {
    return hashes == nullptr ? 0 : Global<const uint64_t>(hashes).Load(at);
  }

  NAVIT_DEVICE RowKey KeyOfRow(int64_t row) const {
    if (row >= strip_.rows) return {0, kInvalid, 0};
    const int64_t own = Global<const int64_t>(strip_.positive).Load(row);
    if (own < 0) return {0, kInvalid, 0};
    const int64_t in_tile = own - column_;
    const bool inside = in_tile >= 0 && in_tile < kScoreTile;
    return {Hash(strip_.row_hash, row), inside ? static_cast<int32_t>(in_tile) : -1, 0};
  }

  NAVIT_DEVICE ColumnKey KeyOfColumn(int64_t column) const {
    if (column >= strip_.columns) return {0, 0, 0};
    const bool valid = strip_.column_valid == nullptr ||
                       Global<const uint8_t>(strip_.column_valid).Load(column) != 0;
    return {Hash(strip_.column_hash, column), valid, 0};
  }

  NAVIT_DEVICE PairKind Kind(const RowKey& row, const ColumnKey& column, int column_slot) const {
    const bool valid = row.own != kInvalid && column.valid != 0;
    const bool own = row.own == ScoreSlots::Column(column_slot);
    const bool equal = row.hash != 0 && row.hash == column.hash;
    return {valid && (own || strip_.equal_are_positive || !equal),
            valid && (own || (strip_.equal_are_positive && equal))};
  }

  const ContrastiveStrip& strip_;
  const int64_t row_, column_;
  const Shared<RowKey> rows_;
  const Shared<ColumnKey> columns_;
};

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_CONTRASTIVE_PAIRS_H_
