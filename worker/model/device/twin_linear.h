// cuBLASLt's place in tests on the host twin: plain loops.
#ifndef NAVIT_WORKER_MODEL_DEVICE_TWIN_LINEAR_H_
#define NAVIT_WORKER_MODEL_DEVICE_TWIN_LINEAR_H_

#include "kernels/cuda/linear.h"

namespace navit {

class TwinLinearEngine : public kernels::cuda::LinearEngine {
 public:
  kernels::cuda::LaunchError Forward(const kernels::cuda::LinearForwardArgs& args,
                                     kernels::cuda::Stream stream) override;
  kernels::cuda::LaunchError BackwardInput(const kernels::cuda::LinearBackwardInputArgs& args,
                                           kernels::cuda::Stream stream) override;
  kernels::cuda::LaunchError BackwardWeight(const kernels::cuda::LinearBackwardWeightArgs& args,
                                            kernels::cuda::Stream stream) override;
};

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_DEVICE_TWIN_LINEAR_H_
