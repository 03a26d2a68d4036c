// One vector per segment: the mean or maximum of its tokens, or its first or last token.
#ifndef NAVIT_KERNELS_SEGMENT_POOL_H_
#define NAVIT_KERNELS_SEGMENT_POOL_H_

#include <cstdint>

#include "kernels/thread_pool.h"

namespace navit::kernels {

enum class SegmentPoolKind { kMean, kMax, kFirst, kLast };

//   x           [tokens, dim]
//   cu_seqlens  [segments + 1]   ascending from 0; back() <= tokens
//   pooled      [segments, dim]  assigned; 0 for an empty segment
// A segment's bits depend on its own tokens alone. _cpu equals _ref to 1e-6 of the largest element.
struct SegmentPoolForwardArgs {
  int64_t tokens = 0, segments = 0, dim = 0;
  SegmentPoolKind kind = SegmentPoolKind::kMean;
  const int32_t* cu_seqlens = nullptr;
  const float* x = nullptr;
  float* pooled = nullptr;
};

// dx [tokens, dim], assigned; rows of padding become 0. The maximum's gradient goes to the first
// token that has it. `x` is read for kMax alone.
struct SegmentPoolBackwardArgs {
  int64_t tokens = 0, segments = 0, dim = 0;
  SegmentPoolKind kind = SegmentPoolKind::kMean;
  const int32_t* cu_seqlens = nullptr;
  const float* x = nullptr;
  const float* dpooled = nullptr;
  float* dx = nullptr;
};

void SegmentPoolForward(const SegmentPoolForwardArgs& args, ThreadPool& pool);
void SegmentPoolBackward(const SegmentPoolBackwardArgs& args, ThreadPool& pool);

namespace ref {
void SegmentPoolForward(const SegmentPoolForwardArgs& args);
void SegmentPoolBackward(const SegmentPoolBackwardArgs& args);
}  // namespace ref

}  // namespace navit::kernels

#endif  // NAVIT_KERNELS_SEGMENT_POOL_H_
