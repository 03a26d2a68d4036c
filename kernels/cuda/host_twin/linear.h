// cuBLASLt's place in tests on the host twin: plain loops. LinearEngine::Create makes one, whatever
// the choices.
#ifndef NAVIT_KERNELS_CUDA_HOST_TWIN_LINEAR_H_
#define NAVIT_KERNELS_CUDA_HOST_TWIN_LINEAR_H_

#include "kernels/cuda/linear.h"

namespace navit::kernels::cuda {

class TwinLinearEngine : public LinearEngine {
 public:
  LaunchError Forward(const LinearForwardArgs& args, Stream stream) override;
  LaunchError BackwardInput(const LinearBackwardInputArgs& args, Stream stream) override;
  LaunchError BackwardWeight(const LinearBackwardWeightArgs& args, Stream stream) override;
  LaunchError Multiply(const ProductArgs& args, Stream stream) override;
  int64_t ChosenShapes() const override { return 0; }
};

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_HOST_TWIN_LINEAR_H_
