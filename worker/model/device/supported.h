// What of a model has kernels on a GPU.
#ifndef NAVIT_WORKER_MODEL_DEVICE_SUPPORTED_H_
#define NAVIT_WORKER_MODEL_DEVICE_SUPPORTED_H_

#include <cstdint>

#include "absl/status/status.h"
#include "worker/model/config.h"

namespace navit {

// Both sides of a linear layer's weight are multiples of this: cuBLASLt's kernels for bf16 want
// rows of whole 16-byte units.
inline constexpr int64_t kLinearMultiple = 8;

// The widest rows that rms_norm.h and layer_norm.h (kernels/cuda/) take.
inline constexpr int64_t kMaxWidth = 8192;

// Unimplemented names the first field of the job that has none, as
// "model.image.patch_size: ... has no kernel on a GPU yet".
absl::Status CheckDeviceModel(const ModelConfig& config);

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_DEVICE_SUPPORTED_H_
