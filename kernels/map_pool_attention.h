// The attention of MAP pooling: one learned query per head attends over each segment's tokens and
// gives one vector per segment that is not empty.
#ifndef NAVIT_KERNELS_MAP_POOL_ATTENTION_H_
#define NAVIT_KERNELS_MAP_POOL_ATTENTION_H_

#include <cstdint>

#include "kernels/thread_pool.h"

namespace navit::kernels {

// pooled[p, h, :] = softmax_t(query[h]·k[t, h]/√head_dim)·v[t, h, :], t in the p-th segment of
// those with length > 0.
//   query       [heads, head_dim]
//   kv          [tokens, 2, heads, head_dim]  k, v
//   cu_seqlens  [segments + 1]                ascending from 0; back() <= tokens
//   pooled      [pooled_rows, heads, head_dim]   assigned; pooled_rows = PooledRows(…)
//   lse         [pooled_rows, heads]             saved for the backward pass
// Padding tokens are never read. A segment's bits depend on its tokens (and the query) alone.
// Tolerance of _cpu against _ref: 1e-5 relative to max|v|.
struct MapPoolAttentionForwardArgs {
  int64_t tokens = 0, segments = 0, heads = 0, head_dim = 0;
  const int32_t* cu_seqlens = nullptr;
  const float* query = nullptr;
  const float* kv = nullptr;
  float* pooled = nullptr;
  float* lse = nullptr;
};

//   dpooled  [pooled_rows, heads, head_dim]
//   dkv      [tokens, 2, heads, head_dim]   assigned; rows of padding become 0
//   dquery   [heads, head_dim]              added to, over segments in ascending order
struct MapPoolAttentionBackwardArgs {
  int64_t tokens = 0, segments = 0, heads = 0, head_dim = 0;
  const int32_t* cu_seqlens = nullptr;
  const float* query = nullptr;
  const float* kv = nullptr;
  const float* pooled = nullptr;
  const float* lse = nullptr;
  const float* dpooled = nullptr;
  float* dkv = nullptr;
  float* dquery = nullptr;
};

// The number of segments of length > 0.
int64_t PooledRows(const int32_t* cu_seqlens, int64_t segments);

void MapPoolAttentionForward(const MapPoolAttentionForwardArgs& args, ThreadPool& pool);
void MapPoolAttentionBackward(const MapPoolAttentionBackwardArgs& args, ThreadPool& pool);

namespace ref {
void MapPoolAttentionForward(const MapPoolAttentionForwardArgs& args);
void MapPoolAttentionBackward(const MapPoolAttentionBackwardArgs& args);
}  // namespace ref

}  // namespace navit::kernels

#endif  // NAVIT_KERNELS_MAP_POOL_ATTENTION_H_
