#include "common/status_macros.h"
#include "worker/device/cuda_device.h"
#include "worker/device/gpu.h"

namespace navit {

absl::StatusOr<Gpu> OpenGpu(int ordinal) {
  // What NVIDIA advises for Hopper.
  constexpr size_t kWorkspaceBytes = size_t{32} << 20;
  Gpu gpu;
  NAVIT_ASSIGN_OR_RETURN(gpu.device, OpenCudaDevice(ordinal));
  NAVIT_ASSIGN_OR_RETURN(gpu.workspace, DeviceBuffer::Make(gpu.device.get(), kWorkspaceBytes));
  gpu.engine = kernels::cuda::LinearEngine::Create(gpu.workspace.data(), kWorkspaceBytes);
  if (gpu.engine == nullptr) return absl::InternalError("cuBLASLt cannot be initialised");
  return gpu;
}

absl::StatusOr<int> CountGpus() { return CountCudaDevices(); }

}  // namespace navit
