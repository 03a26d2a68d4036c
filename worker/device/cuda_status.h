// What a call of CUDA's runtime returned, as a status.
#ifndef NAVIT_WORKER_DEVICE_CUDA_STATUS_H_
#define NAVIT_WORKER_DEVICE_CUDA_STATUS_H_

#include <cuda_runtime.h>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace navit {

// ResourceExhausted for want of memory, else Internal; both with the call's name and CUDA's text.
absl::Status CudaStatus(absl::string_view call, cudaError_t error);

}  // namespace navit

#endif  // NAVIT_WORKER_DEVICE_CUDA_STATUS_H_
