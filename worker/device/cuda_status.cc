#include "worker/device/cuda_status.h"

#include <string>

#include "absl/strings/str_cat.h"

namespace navit {

absl::Status CudaStatus(absl::string_view call, cudaError_t error) {
  if (error == cudaSuccess) return absl::OkStatus();
  // CUDA keeps an error that it returned for cudaGetLastError too, where the next launch of a
  // kernel would take it for its own. One of queued work stays all the same.
  cudaGetLastError();
  const std::string text =
      absl::StrCat(call, ": ", cudaGetErrorName(error), ": ", cudaGetErrorString(error));
  return error == cudaErrorMemoryAllocation ? absl::ResourceExhaustedError(text)
                                            : absl::InternalError(text);
}

}  // namespace navit
