// A GPU by CUDA's runtime. Needs no CUDA header.
#ifndef NAVIT_WORKER_DEVICE_CUDA_DEVICE_H_
#define NAVIT_WORKER_DEVICE_CUDA_DEVICE_H_

#include <memory>

#include "absl/status/statusor.h"
#include "worker/device/device.h"

namespace navit {

// The GPU of that number among those that CUDA_VISIBLE_DEVICES leaves. NotFound: this machine has
// no driver, no GPU, or fewer; FailedPrecondition: the driver or the GPU is too old
// (driver_version.h; compute capability 8.0), both versions in the message, or has no memory pools.
//
// Each method makes the device the calling thread's, as MakeCurrent does: a process that drives two
// devices from one thread calls MakeCurrent before it launches on the other.
absl::StatusOr<std::unique_ptr<Device>> OpenCudaDevice(int ordinal);
// How many GPUs CUDA_VISIBLE_DEVICES leaves, at least one; NotFound and FailedPrecondition as
// above, but for the GPU's age. Nothing is put on them.
absl::StatusOr<int> CountCudaDevices();

}  // namespace navit

#endif  // NAVIT_WORKER_DEVICE_CUDA_DEVICE_H_
