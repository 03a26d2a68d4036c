#include "worker/device/driver_version.h"

#include "absl/strings/str_cat.h"

namespace navit {

absl::Status CheckDriverVersion(int cuda_version) {
  constexpr int kNeeded = 13000;
  if (cuda_version == 0) {
    return absl::NotFoundError(
        "this machine has no NVIDIA driver; CUDA 13.0 needs driver 580 or newer");
  }
  if (cuda_version >= kNeeded) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "the NVIDIA driver of this machine is too old: it knows CUDA up to ", cuda_version / 1000,
      ".", cuda_version % 1000 / 10, "; needed is CUDA 13.0, which is driver 580 or newer"));
}

}  // namespace navit
