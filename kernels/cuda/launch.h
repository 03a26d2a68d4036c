// What callers of the CUDA operations need of CUDA: a stream and the error of a launch. Needs no
// CUDA header, so that code on both sides includes it.
#ifndef NAVIT_KERNELS_CUDA_LAUNCH_H_
#define NAVIT_KERNELS_CUDA_LAUNCH_H_

#include <cstdint>

struct CUstream_st;

namespace navit::kernels::cuda {

// The same type as cudaStream_t. Null is the default stream.
using Stream = CUstream_st*;

// What queueing work on a stream answered: CUDA's error code, 0 for success. Errors of the work
// itself show when the stream is synchronised.
struct [[nodiscard]] LaunchError {
  int code = 0;
  bool ok() const { return code == 0; }
};

// Blocks of a grid and their threads. Grids have one dimension; `threads` is a multiple of 32.
struct LaunchShape {
  int64_t blocks = 0;  // 0: nothing is launched
  int threads = 0;
  int64_t shared_bytes = 0;
};

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_LAUNCH_H_
