// sigmoid_contrastive.h (kernels/) on a GPU.
#ifndef NAVIT_KERNELS_CUDA_SIGMOID_CONTRASTIVE_H_
#define NAVIT_KERNELS_CUDA_SIGMOID_CONTRASTIVE_H_

#include <cstdint>

#include "kernels/cuda/bf16.h"
#include "kernels/cuda/contrastive.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/linear.h"

namespace navit::kernels::cuda {

// As kernels/sigmoid_contrastive.h: one pass gives the loss and all gradients, assigned. dx and dy
// in fp32; the products with g take it rounded to bf16. 6·rows·columns·dim operations. Tolerance
// against _ref on the same bf16 input: loss and dbias 1e-5 of the sums of their absolute terms,
// dscale likewise; dx and dy 2^-7 of the largest element.
struct SigmoidContrastiveArgs {
  ContrastiveStrip strip;  // its share and smoothing arrays are not read
  LinearEngine* engine = nullptr;
  float bias = 0;
  float smoothing = 0;  // in [0, 1)
  double weight = 0;
  float* dx = nullptr;     // [rows, dim]
  float* dy = nullptr;     // [columns, dim]
  double* loss = nullptr;  // one value each
  double* dscale = nullptr;
  double* dbias = nullptr;
  void* workspace = nullptr;  // ContrastiveGradientWorkspace(strip) bytes, aligned to 16
};

LaunchError SigmoidContrastive(const SigmoidContrastiveArgs& args, Stream stream);

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_SIGMOID_CONTRASTIVE_H_
