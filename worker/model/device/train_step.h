// The training step on a GPU.
#ifndef NAVIT_WORKER_MODEL_DEVICE_TRAIN_STEP_H_
#define NAVIT_WORKER_MODEL_DEVICE_TRAIN_STEP_H_

#include <memory>

#include "absl/status/statusor.h"
#include "kernels/cuda/linear.h"
#include "kernels/thread_pool.h"
#include "worker/device/device.h"
#include "worker/model/train_step.h"

namespace navit {

// `state` is copied to the device; from then on ReadState brings it up to date. All must outlive
// the step; `pool` is for the loss. Unimplemented names the field of the model that has no kernel
// on a GPU yet. ResourceExhausted.
absl::StatusOr<std::unique_ptr<TrainStep>> MakeDeviceTrainStep(
    const ParameterTable* table, const TrainStepOptions& options, ModelState* state,
    kernels::ThreadPool* pool, Device* device, kernels::cuda::LinearEngine* engine,
    TrainStep::PhaseCallback on_phase);

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_DEVICE_TRAIN_STEP_H_
