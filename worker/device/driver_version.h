// Whether a machine's NVIDIA driver is new enough for the CUDA that this program was built with.
#ifndef NAVIT_WORKER_DEVICE_DRIVER_VERSION_H_
#define NAVIT_WORKER_DEVICE_DRIVER_VERSION_H_

#include "absl/status/status.h"

namespace navit {

// `cuda_version` is the newest CUDA that the driver knows, as cudaDriverGetVersion gives it: 1000 ·
// major + 10 · minor, and 0 where there is no driver. NotFound: none; FailedPrecondition: older
// than CUDA 13, which came with driver 580. Both versions are in the message.
absl::Status CheckDriverVersion(int cuda_version);

}  // namespace navit

#endif  // NAVIT_WORKER_DEVICE_DRIVER_VERSION_H_
