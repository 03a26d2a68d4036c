// What the resolved spec takes from the weights that a job starts from.
#ifndef NAVIT_COMMON_JOB_SPEC_PIN_WEIGHTS_H_
#define NAVIT_COMMON_JOB_SPEC_PIN_WEIGHTS_H_

#include <vector>

#include "common/job_spec/validate.h"
#include "common/object_store/object_store.h"
#include "proto/job_spec.pb.h"

namespace navit {

// Sets preprocess.mean and .std of a resolved, valid spec to those of the config.json beside
// init_from.image (timm's: "pretrained_cfg" or the file itself holds "mean" and "std") or in the
// folder init_from.checkpoint (a job spec). Pixels must be scaled as the weights know them, so this
// goes before what the job file says. Without init_from, or without a config.json beside an image
// tower, nothing changes. Violations: the weights or their configuration cannot be read.
std::vector<FieldViolation> PinWeights(ObjectStore* store, v1::JobSpec* spec);

}  // namespace navit

#endif  // NAVIT_COMMON_JOB_SPEC_PIN_WEIGHTS_H_
