#include "worker/model/device/context.h"

#include "absl/strings/str_cat.h"

namespace navit {

void DeviceContext::Keep(const absl::Status& status) {
  if (status_.ok()) status_ = status;
}

void DeviceContext::Keep(absl::string_view operation, kernels::cuda::LaunchError error) {
  if (error.ok()) return;
  constexpr int kCublas = kernels::cuda::LinearEngine::kCublasErrors;
  Keep(absl::InternalError(error.code >= kCublas
                               ? absl::StrCat(operation, ": cuBLAS status ", error.code - kCublas)
                               : absl::StrCat(operation, ": CUDA error ", error.code)));
}

void* DeviceContext::ScratchBytes(size_t bytes) {
  // What still uses a smaller one is waited for.
  if (ok()) Keep(GrowBuffer(bytes, device_, &scratch_));
  return ok() ? scratch_.data() : nullptr;
}

}  // namespace navit
