// What the resolved spec holds of the files of evaluation.zero_shot: their lines.
#ifndef NAVIT_COMMON_JOB_SPEC_PIN_PROMPTS_H_
#define NAVIT_COMMON_JOB_SPEC_PIN_PROMPTS_H_

#include <vector>

#include "common/job_spec/validate.h"
#include "common/object_store/object_store.h"
#include "proto/job_spec.pb.h"

namespace navit {

// Fills evaluation.zero_shot.class_names and .templates of a resolved, valid spec from their files,
// if it names some, whose names then go; nothing without the task zero_shot. Violations: a file
// cannot be read or is no text, there are not as many class names as model.classes, or a template
// has no place for the name.
std::vector<FieldViolation> PinPrompts(ObjectStore* store, v1::JobSpec* spec);

}  // namespace navit

#endif  // NAVIT_COMMON_JOB_SPEC_PIN_PROMPTS_H_
