// What the resolved spec holds of the tokenizer's file: so much of it that a changed file is found.
#ifndef NAVIT_COMMON_JOB_SPEC_PIN_TOKENIZER_H_
#define NAVIT_COMMON_JOB_SPEC_PIN_TOKENIZER_H_

#include <vector>

#include "common/job_spec/validate.h"
#include "common/object_store/object_store.h"
#include "proto/job_spec.pb.h"

namespace navit {

// Sets model.text.vocabulary_size and .tokenizer_hash of a resolved, valid spec from the tokenizer,
// whose file it reads. Violations: the file cannot be read or is none, or what the spec says
// already (one that was submitted before does) is not the tokenizer's. Nothing happens without
// model.text.
std::vector<FieldViolation> PinTokenizer(ObjectStore* store, v1::JobSpec* spec);

}  // namespace navit

#endif  // NAVIT_COMMON_JOB_SPEC_PIN_TOKENIZER_H_
