#include <string>

#include "common/log.h"
#include "common/status_macros.h"
#include "kernels/cuda/linear_candidates.h"
#include "kernels/cuda/linear_choices_file.h"
#include "worker/device/cuda_device.h"
#include "worker/device/gpu.h"

namespace navit {
namespace {

// Those of `choices` that hold for the current device.
kernels::cuda::LinearChoices ChoicesHere(const kernels::cuda::LinearChoices& choices) {
  if (choices.choices.empty()) return {};
  const std::string why_not = WhyNotHere(choices.device, kernels::cuda::CurrentLinearDevice());
  if (why_not.empty()) {
    NAVIT_LOG(INFO) << choices.choices.size() << " choices of linear layers' algorithms";
    return choices;
  }
  NAVIT_LOG(WARNING) << "choices of linear layers' algorithms are not used: " << why_not;
  return {};
}

}  // namespace

absl::StatusOr<Gpu> OpenGpu(int ordinal, const kernels::cuda::LinearChoices& choices) {
  // What NVIDIA advises for Hopper.
  constexpr size_t kWorkspaceBytes = size_t{32} << 20;
  Gpu gpu;
  NAVIT_ASSIGN_OR_RETURN(gpu.device, OpenCudaDevice(ordinal));
  NAVIT_ASSIGN_OR_RETURN(gpu.workspace, DeviceBuffer::Make(gpu.device.get(), kWorkspaceBytes));
  gpu.engine = kernels::cuda::LinearEngine::Create(gpu.workspace.data(), kWorkspaceBytes,
                                                   ChoicesHere(choices));
  if (gpu.engine == nullptr) return absl::InternalError("cuBLASLt cannot be initialised");
  return gpu;
}

absl::StatusOr<int> CountGpus() { return CountCudaDevices(); }

}  // namespace navit
