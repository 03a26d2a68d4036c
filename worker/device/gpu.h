// A device and what computes on it.
#ifndef NAVIT_WORKER_DEVICE_GPU_H_
#define NAVIT_WORKER_DEVICE_GPU_H_

#include <memory>

#include "absl/status/statusor.h"
#include "kernels/cuda/linear.h"
#include "kernels/cuda/linear_choices.h"
#include "worker/device/device.h"

namespace navit {

// Destroyed in the reverse order, after all that uses them.
struct Gpu {
  std::unique_ptr<Device> device;
  // Of the engine, which uses it on one stream at a time.
  DeviceBuffer workspace;
  std::unique_ptr<kernels::cuda::LinearEngine> engine;
};

// OpenCudaDevice with cuBLASLt; its errors, and Internal where cuBLASLt cannot be initialised.
// `choices`: of its algorithms. Those for another device or cuBLASLt are left aside, which a line
// of the log says.
absl::StatusOr<Gpu> OpenGpu(int ordinal, const kernels::cuda::LinearChoices& choices = {});
// CountCudaDevices.
absl::StatusOr<int> CountGpus();

}  // namespace navit

#endif  // NAVIT_WORKER_DEVICE_GPU_H_
