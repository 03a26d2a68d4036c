#include <utility>

#include "common/status_macros.h"
#include "worker/accelerator.h"

namespace navit {

absl::StatusOr<std::unique_ptr<Accelerator>> OpenAccelerator(
    int ordinal, const kernels::cuda::LinearChoices& choices) {
  auto accelerator = std::make_unique<Accelerator>();
  NAVIT_ASSIGN_OR_RETURN(accelerator->gpu, OpenGpu(ordinal, choices));
  accelerator->make_train_step = &MakeDeviceTrainStep;
  accelerator->make_embedder = &MakeDeviceEmbedder;
  return accelerator;
}

absl::StatusOr<int> CountAccelerators() { return CountGpus(); }

}  // namespace navit
