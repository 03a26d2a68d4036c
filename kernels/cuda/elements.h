// Kernels that give each element of an index range a thread of its own. For .cu files.
#ifndef NAVIT_KERNELS_CUDA_ELEMENTS_H_
#define NAVIT_KERNELS_CUDA_ELEMENTS_H_

#include <cstdint>

#include "kernels/cuda/device.h"

namespace navit::kernels::cuda {

// A Body has Args and a NAVIT_DEVICE static void At(const Args&, int64_t i).
template <typename Body>
struct ElementKernel {
  struct Args {
    int64_t count;
    typename Body::Args body;
  };
  static constexpr int kThreads = 256;

  NAVIT_DEVICE static void Run(const Args& args) {
    const int64_t i = BlockIndex() * kThreads + ThreadIndex();
    if (i < args.count) Body::At(args.body, i);
  }
};

// Calls Body::At(args, i) for i in [0, count), in no order.
template <typename Body>
LaunchError ForEachElement(int64_t count, const typename Body::Args& args, Stream stream) {
  using Kernel = ElementKernel<Body>;
  return Launch<Kernel>({(count + Kernel::kThreads - 1) / Kernel::kThreads, Kernel::kThreads, 0},
                        stream, {count, args});
}

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_ELEMENTS_H_
