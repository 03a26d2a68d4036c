#include "worker/model/device/context.h"

#include <utility>

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
  if (!ok()) return nullptr;
  if (scratch_.bytes() < bytes) {
    // Freeing waits for what still uses it.
    scratch_ = DeviceBuffer();
    absl::StatusOr<DeviceBuffer> larger = DeviceBuffer::Make(device_, bytes);
    if (!larger.ok()) {
      Keep(larger.status());
      return nullptr;
    }
    scratch_ = *std::move(larger);
  }
  return scratch_.data();
}

}  // namespace navit
