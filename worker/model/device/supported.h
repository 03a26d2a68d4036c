// What of a model has kernels on a GPU.
#ifndef NAVIT_WORKER_MODEL_DEVICE_SUPPORTED_H_
#define NAVIT_WORKER_MODEL_DEVICE_SUPPORTED_H_

#include <cstdint>

#include "absl/status/status.h"
#include "worker/model/config.h"

namespace navit {

// The widest rows that rms_norm.h and layer_norm.h (kernels/cuda/) take.
inline constexpr int64_t kMaxWidth = 8192;

// Unimplemented names the first field of the job that has none, as
// "model.image.size.heads: ... has no kernel on a GPU yet".
absl::Status CheckDeviceModel(const ModelConfig& config);

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_DEVICE_SUPPORTED_H_
