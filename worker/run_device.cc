#include "worker/run_device.h"

#include <utility>

#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "common/log.h"
#include "common/status_macros.h"
#include "kernels/peak_flops.h"
#include "worker/device/peak_flops.h"
#include "worker/gloo_collective.h"
#include "worker/nccl/nccl_collective.h"
#include "worker/nccl/nccl_library.h"

namespace navit {
bool OnGpu(const v1::JobSpec& spec) {
  return spec.workers().trainers().device() == v1::TrainersSpec::CUDA;
}

absl::StatusOr<std::unique_ptr<Communicator>> MakeCommunicator(const v1::JobSpec& spec,
                                                               const RunPlace& place,
                                                               const Accelerator* accelerator) {
  const auto timeout = absl::Seconds(spec.timeouts().collective_seconds());
  if (OnGpu(spec) && accelerator == nullptr) {
    return absl::FailedPreconditionError(
        "workers.trainers.device is cuda, and this trainer has no GPU");
  }
  if (OnGpu(spec) && place.world_size > 1) {
    NAVIT_ASSIGN_OR_RETURN(NcclApi* const nccl, LoadNccl());
    return std::make_unique<NcclCollective>(
        NcclOptions{.rank = place.rank, .world_size = place.world_size, .timeout = timeout}, nccl,
        accelerator->gpu.device.get());
  }
  GlooOptions gloo;
  gloo.rank = place.rank;
  gloo.world_size = place.world_size;
  gloo.host = place.host;
  gloo.ports = place.ports;
  gloo.timeout = timeout;
  return std::make_unique<GlooCollective>(gloo);
}

std::optional<double> PeakFlops(const v1::JobSpec& spec, kernels::ThreadPool* pool,
                                const Accelerator* accelerator) {
  if (!OnGpu(spec)) return kernels::ProbePeakFlops(*pool);
  if (accelerator == nullptr) return std::nullopt;
  return DevicePeakFlops(accelerator->gpu.device->name());
}

RunMemory::RunMemory(const Accelerator* accelerator) : accelerator_(accelerator) {
  // A device that is broken is told of by what computes on it.
  if (accelerator != nullptr) accelerator->gpu.device->arena()->ResetPeak().IgnoreError();
}

RunMemory::~RunMemory() {
  if (accelerator_ == nullptr) return;
  DeviceArena* const arena = accelerator_->gpu.device->arena();
  const absl::StatusOr<DeviceMemory> memory = arena->memory();
  if (const absl::Status trimmed = arena->Trim(); !trimmed.ok()) {
    NAVIT_LOG(WARNING) << "the GPU's memory was not given back: " << trimmed.message();
  } else if (memory.ok()) {
    constexpr double kMib = 1 << 20;
    NAVIT_LOG(INFO) << absl::StrFormat(
        "memory of the GPU: at most %.1f MiB in use, %.1f MiB reserved",
        memory->arena_peak_bytes / kMib, memory->arena_reserved_bytes / kMib);
  }
}

absl::StatusOr<std::unique_ptr<TrainStep>> MakeTrainStep(
    const v1::JobSpec& spec, const ParameterTable& table, const TrainStepOptions& options,
    ModelState* state, kernels::ThreadPool* pool, const Accelerator* accelerator,
    TrainStep::PhaseCallback on_phase) {
  if (!OnGpu(spec)) {
    return std::make_unique<TrainStep>(&table, options, state, pool, std::move(on_phase));
  }
  const Gpu& gpu = accelerator->gpu;
  NAVIT_ASSIGN_OR_RETURN(const TrainStepOptions on_device,
                         OptionsOnDevice(options, table, *gpu.device));
  return accelerator->make_train_step(&table, on_device, state, pool, gpu.device.get(),
                                      gpu.engine.get(), std::move(on_phase));
}

absl::StatusOr<std::unique_ptr<PackEmbedder>> MakeEmbedder(const v1::JobSpec& spec,
                                                           const ParameterTable& table,
                                                           const float* parameters,
                                                           kernels::ThreadPool* pool,
                                                           const Accelerator* accelerator) {
  const TrainStepOptions options;
  if (!OnGpu(spec)) return MakeCpuEmbedder(&table, parameters, options.micro_batch_tokens, pool);
  const Gpu& gpu = accelerator->gpu;
  NAVIT_ASSIGN_OR_RETURN(const TrainStepOptions on_device,
                         OptionsOnDevice(options, table, *gpu.device));
  return accelerator->make_embedder(&table, parameters, on_device.micro_batch_tokens,
                                    gpu.device.get(), gpu.engine.get());
}

}  // namespace navit
