// Our image tower as a timm model.
#ifndef NAVIT_WORKER_WEIGHTS_TIMM_EXPORT_H_
#define NAVIT_WORKER_WEIGHTS_TIMM_EXPORT_H_

#include <string>

#include "absl/status/status.h"
#include "worker/model/parameters.h"

namespace navit {

// Writes model.safetensors and config.json of a NaFlexVit, as timm.create_model("local-dir:FOLDER")
// loads them; its pooled features are then those of our image tower before the projection, which
// has no counterpart and is left out. Biases that our tower does not have and timm's has are
// written as zeros.
//
// FailedPrecondition: timm has no such tower; the message says why (absolute, stacked, product,
// sinusoidal, Fourier and RoPE positions; QK-norm beside LayerNorm; ...).
absl::Status ExportTimm(const ParameterTable& table, const float* parameters,
                        const std::string& folder);

}  // namespace navit

#endif  // NAVIT_WORKER_WEIGHTS_TIMM_EXPORT_H_
