#include "kernels/cuda/attention_work.h"

#include <algorithm>

namespace navit::kernels::cuda {
namespace {

// Rows of short segments that share a block: two tiles a warp, so that warps without a second one
// idle for half of the time at most.
constexpr int32_t kSharedRows = 2 * kAttentionTileRows * kAttentionWarps;
// Rows of a segment that is longer than what a block holds: a tile a warp.
constexpr int32_t kPartRows = kAttentionTileRows * kAttentionWarps;

int32_t RoundUp(int32_t length) {
  return (length + kAttentionTileRows - 1) / kAttentionTileRows * kAttentionTileRows;
}

}  // namespace

AttentionWork MakeAttentionWork(const int32_t* cu_seqlens, int64_t segments, int32_t max_rows) {
  AttentionWork work;
  work.used_tokens = cu_seqlens[segments];
  const int32_t shared_rows = std::min(kSharedRows, max_rows);
  int32_t room = 0;  // rows of the last block that short segments may still take
  for (int64_t s = 0; s < segments; ++s) {
    const int32_t begin = cu_seqlens[s], length = cu_seqlens[s + 1] - begin;
    if (length == 0) continue;
    const int32_t rows = RoundUp(length);
    const bool resident = rows <= max_rows;
    // The tiles of a segment stay together, unless it is longer than what a block holds.
    const int32_t step = resident ? rows : kPartRows;
    for (int32_t from = 0; from < rows; from += step) {
      if (room < rows) {
        work.blocks.push_back({static_cast<int32_t>(work.segments.size()), 0,
                               static_cast<int32_t>(work.tiles.size()), 0});
        room = std::max(shared_rows, rows);
      }
      AttentionBlock& block = work.blocks.back();
      const int32_t row = std::max(shared_rows, rows) - room;
      work.segments.push_back({begin, length, row});
      ++block.segments;
      for (int32_t first = from; first < std::min(from + step, rows); first += kAttentionTileRows) {
        work.tiles.push_back({begin, length, row, first});
        ++block.tiles;
      }
      room = rows < shared_rows ? room - rows : 0;
      work.chunk_rows = std::max(work.chunk_rows, std::min(row + rows, max_rows));
    }
  }
  return work;
}

}  // namespace navit::kernels::cuda
