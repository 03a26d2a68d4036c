// The sizes of heads that kernels are compiled for: multiples of 8, so that a head is whole 16-byte
// units of bf16.
#ifndef NAVIT_KERNELS_CUDA_HEAD_DIMS_H_
#define NAVIT_KERNELS_CUDA_HEAD_DIMS_H_

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <type_traits>

#include "kernels/cuda/launch.h"

namespace navit::kernels::cuda {

// The backward pass of attention has no registers left for 120, nor for more than 128.
inline constexpr int kHeadDims[] = {8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96, 104, 112, 128};

inline constexpr bool HasHeadDim(int64_t head_dim) {
  for (const int dim : kHeadDims) {
    if (dim == head_dim) return true;
  }
  return false;
}

// Numbers of a head in shared memory and as operands of tensor cores, which sum 16 at a time: zeros
// follow a head that is no multiple of 16 in shared memory.
inline constexpr int PaddedHeadDim(int64_t head_dim) {
  return static_cast<int>((head_dim + 15) / 16 * 16);
}
template <int kDim>
inline constexpr int kPaddedHeadDim = PaddedHeadDim(kDim);

// Lanes that share a head of kDim numbers, eight each: a power of two, for sums over them. Those
// from kDim / 8 on have none.
template <int kDim>
inline constexpr int kHeadLanes = [] {
  int lanes = 1;
  while (lanes < kDim / 8) lanes *= 2;
  return lanes;
}();

// launch(std::integral_constant<int, head_dim>()), on the host; cudaErrorInvalidValue unless
// HasHeadDim.
template <size_t kIndex = 0, typename F>
LaunchError ForHeadDim(int64_t head_dim, const F& launch) {
  if constexpr (kIndex < std::size(kHeadDims)) {
    if (head_dim != kHeadDims[kIndex]) return ForHeadDim<kIndex + 1>(head_dim, launch);
    return launch(std::integral_constant<int, kHeadDims[kIndex]>());
  } else {
    return {1};
  }
}

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_HEAD_DIMS_H_
