// What timm's config.json beside the weights says of a tower that the tensors do not show.
#ifndef NAVIT_WORKER_WEIGHTS_TIMM_CONFIG_H_
#define NAVIT_WORKER_WEIGHTS_TIMM_CONFIG_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "worker/model/config.h"

namespace navit {

// Holds `model` against `json`, the text of a config.json with "architecture" and "model_args":
// heads, the kind of GELU, the norms' epsilon, how positions are interpolated, and the
// aspect-preserving variants, all of which would give other embeddings without an error.
// Architectures: naflexvit_* and vit_*, with timm's defaults for their names. InvalidArgument names
// the field of the job file and what it must be, or why there is no such tower here (another
// architecture, RoPE, quick GELU, ...).
absl::Status CheckTimmConfig(absl::string_view json, const ModelConfig& model);

}  // namespace navit

#endif  // NAVIT_WORKER_WEIGHTS_TIMM_CONFIG_H_
