#include "worker/accelerator.h"

namespace navit {
namespace {

absl::Status BuiltWithout() {
  return absl::FailedPreconditionError(
      "this program was built without CUDA (bazel build --config=cuda builds it with)");
}

}  // namespace

absl::StatusOr<std::unique_ptr<Accelerator>> OpenAccelerator(
    int /*ordinal*/, const kernels::cuda::LinearChoices& /*choices*/) {
  return BuiltWithout();
}

absl::StatusOr<int> CountAccelerators() { return BuiltWithout(); }

}  // namespace navit
