// ln(1 + eᶻ) and its derivative, for the sigmoid losses. For .cu files.
#ifndef NAVIT_KERNELS_CUDA_SOFTPLUS_H_
#define NAVIT_KERNELS_CUDA_SOFTPLUS_H_

#include "kernels/cuda/device.h"

namespace navit::kernels::cuda {

struct Softplus {
  float softplus;
  float sigmoid;

  // e^-|z| is in (0, 1]: neither overflows nor loses the small side.
  NAVIT_DEVICE explicit Softplus(float z) {
    const float e = Exp(z < 0 ? z : -z);
    const float inverse = 1 / (1 + e);
    sigmoid = z < 0 ? e * inverse : inverse;
    softplus = Max(z, 0) + Log1p(e);
  }
};

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_SOFTPLUS_H_
