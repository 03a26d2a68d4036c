// Self-attention inside the segments of a packed sequence: block-diagonal, given as cumulative
// lengths; no mask exists and tokens of different segments never meet.
#ifndef NAVIT_KERNELS_SEGMENT_ATTENTION_H_
#define NAVIT_KERNELS_SEGMENT_ATTENTION_H_

#include <cstdint>

#include "kernels/thread_pool.h"

namespace navit::kernels {

// Per segment and head: out = softmax(q·kᵀ/√head_dim)·v.
//   qkv         [tokens, 3, heads, head_dim]
//   cu_seqlens  [segments + 1]   ascending from 0, empty segments allowed; back() <= tokens
//   out         [tokens, heads, head_dim]   assigned; does not alias qkv
//   lse         [tokens, heads]  log Σ exp of the scaled scores; saved for the backward pass
// Tokens from cu_seqlens[segments] on are padding: their qkv is never read, their out and lse
// are 0.
//
// The bits of a segment's result depend on that segment's qkv alone: not on its place in the pack,
// its neighbours or the number of threads.
// Tolerance of _cpu against _ref: 1e-5 relative to max|v| (scores up to about 100).
struct SegmentAttentionForwardArgs {
  int64_t tokens = 0, segments = 0, heads = 0, head_dim = 0;
  bool causal = false;  // token i attends to tokens <= i of its segment
  const int32_t* cu_seqlens = nullptr;
  const float* qkv = nullptr;
  float* out = nullptr;
  float* lse = nullptr;
};

//   dout  [tokens, heads, head_dim]     rows of padding are not read
//   dqkv  [tokens, 3, heads, head_dim]  assigned; rows of padding become 0
// No aliasing. `out` and `lse` are those of the forward pass.
struct SegmentAttentionBackwardArgs {
  int64_t tokens = 0, segments = 0, heads = 0, head_dim = 0;
  bool causal = false;
  const int32_t* cu_seqlens = nullptr;
  const float* qkv = nullptr;
  const float* out = nullptr;
  const float* lse = nullptr;
  const float* dout = nullptr;
  float* dqkv = nullptr;
};

void SegmentAttentionForward(const SegmentAttentionForwardArgs& args, ThreadPool& pool);
void SegmentAttentionBackward(const SegmentAttentionBackwardArgs& args, ThreadPool& pool);

namespace ref {
void SegmentAttentionForward(const SegmentAttentionForwardArgs& args);
void SegmentAttentionBackward(const SegmentAttentionBackwardArgs& args);
}  // namespace ref

}  // namespace navit::kernels

#endif  // NAVIT_KERNELS_SEGMENT_ATTENTION_H_
