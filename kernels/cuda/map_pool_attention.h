// map_pool_attention.h (kernels/) on a GPU.
#ifndef NAVIT_KERNELS_CUDA_MAP_POOL_ATTENTION_H_
#define NAVIT_KERNELS_CUDA_MAP_POOL_ATTENTION_H_

#include <cstdint>

#include "kernels/cuda/bf16.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/segment_range.h"

namespace navit::kernels::cuda {

// pooled[p, h, :] = softmax_t(query[h]·k[t, h]/√head_dim)·v[t, h, :], t in segment p of the ranges.
// head_dim is one of head_dims.h; device memory, 16-byte aligned.
//   segment  [pooled_rows]                      PooledSegments, in device memory
//   query    [heads, head_dim] fp32             kv   [tokens, 2, heads, head_dim] bf16
//   pooled   [pooled_rows, heads, head_dim] bf16, assigned
//   lse      [pooled_rows, heads] fp32
// Padding is not read. A segment's bits depend on its tokens and the query alone.
// Tolerance: 2^-8 of max|v|, 1e-4 for lse.
struct MapPoolAttentionForwardArgs {
  int64_t tokens = 0, pooled_rows = 0, heads = 0, head_dim = 0;
  const SegmentRange* segment = nullptr;
  const float* query = nullptr;
  const Bf16* kv = nullptr;
  Bf16* pooled = nullptr;
  float* lse = nullptr;
};

// dkv is assigned, rows of padding become 0; dquery [heads, head_dim] is added to, over segments in
// a fixed order. `partial` is working memory, [pooled_rows, heads, head_dim]. Tolerance: 2^-7 of
// the largest element.
struct MapPoolAttentionBackwardArgs {
  int64_t tokens = 0, used_tokens = 0, pooled_rows = 0, heads = 0, head_dim = 0;
  const SegmentRange* segment = nullptr;
  const float* query = nullptr;
  const Bf16* kv = nullptr;
  const Bf16* pooled = nullptr;
  const float* lse = nullptr;
  const Bf16* dpooled = nullptr;
  Bf16* dkv = nullptr;
  float* dquery = nullptr;
  float* partial = nullptr;
};

LaunchError MapPoolAttentionForward(const MapPoolAttentionForwardArgs& args, Stream stream);
LaunchError MapPoolAttentionBackward(const MapPoolAttentionBackwardArgs& args, Stream stream);

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_MAP_POOL_ATTENTION_H_
