// What the blocks of the attention kernels do, drawn up on the host once per batch and used by
// every layer and both passes.
//
// A block has the rows (keys and values, say) of one or several whole segments in shared memory; a
// warp takes tiles of 16 rows of one of them. Short segments share a block, so that its warps have
// work; a segment of more rows than a block holds gets a block for each 64 of its rows, and each of
// those reads all of the segment in chunks.
#ifndef NAVIT_KERNELS_CUDA_ATTENTION_WORK_H_
#define NAVIT_KERNELS_CUDA_ATTENTION_WORK_H_

#include <cstdint>
#include <vector>

#include "kernels/cuda/head_dims.h"

namespace navit::kernels::cuda {

inline constexpr int kAttentionTileRows = 16;
inline constexpr int kAttentionWarps = 4;

// Bytes of shared memory that a row takes: two arrays of bf16 and, in the backward pass, two fp32.
inline constexpr int64_t AttentionRowBytes(int64_t head_dim) {
  return 4 * PaddedHeadDim(head_dim) + 8;
}

// The max_rows of trainers and benchmarks: what 66 KiB hold, at most 256. Those are a third of an
// SM's shared memory on sm_90, and less than one block may have on any card since sm_80 (99 KiB on
// sm_86 and sm_89); more on cards with more would make a model's bits depend on the card.
inline constexpr int32_t AttentionRows(int64_t head_dim) {
  const int64_t rows = 66 * 1024 / AttentionRowBytes(head_dim) / 64 * 64;
  return static_cast<int32_t>(rows < 256 ? rows : 256);
}

// A segment that is not empty, at a place among the block's rows in shared memory. It takes its
// length rounded up to 16 rows there; what lies behind its last token is zero, so that nothing of a
// neighbour is ever multiplied with.
struct alignas(16) AttentionSegment {
  int32_t begin = 0;   // its first token
  int32_t length = 0;  // in tokens
  int32_t row = 0;     // in the block, a multiple of 16
  int32_t unused = 0;
};

// 16 rows of a segment from `first` on, a multiple of 16; fewer at its end.
struct alignas(16) AttentionTile {
  int32_t begin = 0;   // of the segment
  int32_t length = 0;  // of the segment
  int32_t row = 0;     // of the segment
  int32_t first = 0;   // inside the segment
};

struct alignas(16) AttentionBlock {
  int32_t first_segment = 0, segments = 0;
  int32_t first_tile = 0, tiles = 0;  // at most kAttentionWarps when there are several chunks
};

struct AttentionWork {
  std::vector<AttentionBlock> blocks;
  std::vector<AttentionSegment> segments;
  std::vector<AttentionTile> tiles;
  int32_t chunk_rows = 0;   // rows that a block holds at a time, a multiple of 16
  int32_t used_tokens = 0;  // cu_seqlens[segments]; padding follows
};

// cu_seqlens [segments + 1] ascends from 0. At most max_rows (a multiple of 64) are held at a time.
// What is computed of a segment depends on its own tokens and max_rows alone, bit for bit.
AttentionWork MakeAttentionWork(const int32_t* cu_seqlens, int64_t segments, int32_t max_rows);

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_ATTENTION_WORK_H_
