// segment_pool.h (kernels/) on a GPU.
#ifndef NAVIT_KERNELS_CUDA_SEGMENT_POOL_H_
#define NAVIT_KERNELS_CUDA_SEGMENT_POOL_H_

#include <cstdint>

#include "kernels/cuda/bf16.h"
#include "kernels/cuda/launch.h"
#include "kernels/segment_pool.h"

namespace navit::kernels::cuda {

// Mean or maximum over the tokens of each segment, or its first or last one. x [tokens, dim] bf16,
// cu_seqlens [segments + 1] in device memory, pooled [segments, dim] bf16, assigned, 0 for an empty
// segment. Tolerance: 2^-8 of the largest element; all but the mean are exact.
struct SegmentPoolForwardArgs {
  int64_t tokens = 0, segments = 0, dim = 0;
  SegmentPoolKind kind = SegmentPoolKind::kMean;
  const int32_t* cu_seqlens = nullptr;
  const Bf16* x = nullptr;
  Bf16* pooled = nullptr;
};

// dx [tokens, dim], assigned; rows of padding, from used_tokens on, become 0. The maximum's
// gradient goes to the first token that has it; x is read for it alone.
struct SegmentPoolBackwardArgs {
  int64_t tokens = 0, used_tokens = 0, segments = 0, dim = 0;
  SegmentPoolKind kind = SegmentPoolKind::kMean;
  const int32_t* cu_seqlens = nullptr;
  const Bf16* x = nullptr;
  const Bf16* dpooled = nullptr;
  Bf16* dx = nullptr;
};

LaunchError SegmentPoolForward(const SegmentPoolForwardArgs& args, Stream stream);
LaunchError SegmentPoolBackward(const SegmentPoolBackwardArgs& args, Stream stream);

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_SEGMENT_POOL_H_
