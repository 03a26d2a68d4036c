// segment_attention.h (kernels/) on a GPU, in bf16 with fp32 scores, softmax and sums.
#ifndef NAVIT_KERNELS_CUDA_SEGMENT_ATTENTION_H_
#define NAVIT_KERNELS_CUDA_SEGMENT_ATTENTION_H_

#include <cstdint>

#include "kernels/cuda/attention_work.h"
#include "kernels/cuda/bf16.h"
#include "kernels/cuda/launch.h"

namespace navit::kernels::cuda {

// An AttentionWork whose arrays are in device memory.
struct DeviceAttentionWork {
  int64_t blocks = 0;
  const AttentionBlock* block = nullptr;
  const AttentionSegment* segment = nullptr;
  const AttentionTile* tile = nullptr;
  int32_t chunk_rows = 0;
  int32_t used_tokens = 0;
};

// The shapes are those of the CPU's operation; head_dim is one of head_dims.h:
//   qkv  [tokens, 3, heads, head_dim] bf16   out  [tokens, heads, head_dim] bf16
//   lse  [tokens, heads] fp32
// out and lse are assigned; those of padding become 0, whose qkv is not read. All of it in device
// memory, 16-byte aligned, no aliasing.
//
// Tolerance against _ref on the same bf16 input: 2^-7 of max|v| for out, 1e-3 for lse. The bits of
// a segment depend on that segment alone, not on its place in the pack.
struct SegmentAttentionForwardArgs {
  int64_t tokens = 0, heads = 0, head_dim = 0;
  bool causal = false;
  DeviceAttentionWork work;
  const Bf16* qkv = nullptr;
  Bf16* out = nullptr;
  float* lse = nullptr;
};

//   dout   [tokens, heads, head_dim] bf16, rows of padding are not read
//   dqkv   [tokens, 3, heads, head_dim] bf16, assigned; rows of padding become 0
//   delta  [tokens, heads] fp32, working memory: Σ out·dout of each row
// No sum crosses blocks: the same bits in every run. Tolerance: 2^-6 of the largest element.
struct SegmentAttentionBackwardArgs {
  int64_t tokens = 0, heads = 0, head_dim = 0;
  bool causal = false;
  DeviceAttentionWork work;
  const Bf16* qkv = nullptr;
  const Bf16* out = nullptr;
  const float* lse = nullptr;
  const Bf16* dout = nullptr;
  Bf16* dqkv = nullptr;
  float* delta = nullptr;
};

LaunchError SegmentAttentionForward(const SegmentAttentionForwardArgs& args, Stream stream);
LaunchError SegmentAttentionBackward(const SegmentAttentionBackwardArgs& args, Stream stream);

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_SEGMENT_ATTENTION_H_
