// Segments as the pooling kernels take them: those that are not empty, in order.
#ifndef NAVIT_KERNELS_CUDA_SEGMENT_RANGE_H_
#define NAVIT_KERNELS_CUDA_SEGMENT_RANGE_H_

#include <cstdint>
#include <vector>

namespace navit::kernels::cuda {

struct alignas(8) SegmentRange {
  int32_t begin = 0;   // first token
  int32_t length = 0;  // in tokens, > 0
};

// On the host, once per batch. cu_seqlens [segments + 1] ascends from 0.
inline std::vector<SegmentRange> PooledSegments(const int32_t* cu_seqlens, int64_t segments) {
  std::vector<SegmentRange> ranges;
  for (int64_t s = 0; s < segments; ++s) {
    const int32_t length = cu_seqlens[s + 1] - cu_seqlens[s];
    if (length > 0) ranges.push_back({cu_seqlens[s], length});
  }
  return ranges;
}

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_SEGMENT_RANGE_H_
