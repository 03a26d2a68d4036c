// The GPU of a trainer, and how a run trains and embeds on it.
#ifndef NAVIT_WORKER_ACCELERATOR_H_
#define NAVIT_WORKER_ACCELERATOR_H_

#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "kernels/cuda/linear_choices.h"
#include "worker/device/gpu.h"
#include "worker/model/device/embed.h"
#include "worker/model/device/train_step.h"

namespace navit {

struct Accelerator {
  Gpu gpu;
  // With the kernels that run on this device.
  decltype(&MakeDeviceTrainStep) make_train_step = nullptr;
  decltype(&MakeDeviceEmbedder) make_embedder = nullptr;
};

// What `cpu`, `cuda` or `cuda:N` names: no GPU, GPU 0, GPU N. InvalidArgument: anything else.
absl::StatusOr<std::optional<int>> ParseDevice(absl::string_view device);

// The GPU of that number, as OpenGpu opens it; its errors. FailedPrecondition: this program was
// built without --config=cuda.
absl::StatusOr<std::unique_ptr<Accelerator>> OpenAccelerator(
    int ordinal, const kernels::cuda::LinearChoices& choices = {});
// How many GPUs there are, at least one; errors as of OpenAccelerator. Leaves them alone.
absl::StatusOr<int> CountAccelerators();

// What fits a GPU: larger micro-batches, and half of the memory that is free beside the weights for
// activations; the rest is for the backward pass's working memory and for inputs. Fails as
// Device::memory.
absl::StatusOr<TrainStepOptions> OptionsOnDevice(const TrainStepOptions& options,
                                                 const ParameterTable& table, const Device& device);

}  // namespace navit

#endif  // NAVIT_WORKER_ACCELERATOR_H_
