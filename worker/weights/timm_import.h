// Weights of a timm image tower into ours.
#ifndef NAVIT_WORKER_WEIGHTS_TIMM_IMPORT_H_
#define NAVIT_WORKER_WEIGHTS_TIMM_IMPORT_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "worker/model/parameters.h"
#include "worker/safetensors.h"

namespace navit {

// Fills the tensors of the image tower in `parameters`, a flat array of `table`, from a file with
// timm's names; the tower's projection and all else keep what they have. `config_json`: the text of
// the config.json beside it, empty if there is none (timm_config.h). timm's classifier ("head.*")
// is left out.
//
// InvalidArgument names the tensor or the field of the job file: a tensor that the model has no
// place for (and which field would make one), one that is missing, another shape, a bias other than
// zero that the model lacks, a tower that timm does not have.
absl::Status ImportTimm(const Safetensors& file, absl::string_view config_json,
                        const ParameterTable& table, float* parameters);

}  // namespace navit

#endif  // NAVIT_WORKER_WEIGHTS_TIMM_IMPORT_H_
