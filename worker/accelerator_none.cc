#include "worker/accelerator.h"

namespace navit {

absl::StatusOr<std::unique_ptr<Accelerator>> OpenAccelerator(int /*ordinal*/) {
  return absl::FailedPreconditionError(
      "this program was built without CUDA (bazel build --config=cuda builds it with)");
}

}  // namespace navit
