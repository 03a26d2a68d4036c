#include "worker/model/device/train_step.h"

#include <utility>

#include "common/status_macros.h"
#include "worker/model/device/machine.h"
#include "worker/model/device/supported.h"
#include "worker/model/device/towers.h"
#include "worker/model/train_step-inl.h"

namespace navit {

absl::StatusOr<std::unique_ptr<TrainStep>> MakeDeviceTrainStep(
    const ParameterTable* table, const TrainStepOptions& options, ModelState* state,
    kernels::ThreadPool* pool, Device* device, kernels::cuda::LinearEngine* engine,
    TrainStep::PhaseCallback on_phase) {
  NAVIT_RETURN_IF_ERROR(CheckDeviceModel(table->config()));
  NAVIT_ASSIGN_OR_RETURN(DeviceMachine machine, DeviceMachine::Make(*table, state, device, engine));
  return std::make_unique<TrainStep>(std::make_unique<TrainStepOn<DeviceMachine>>(
      table, options, pool, std::move(on_phase), std::move(machine)));
}

}  // namespace navit
