// The part of ValidateJobSpec that needs only one field at a time.
#ifndef NAVIT_COMMON_JOB_SPEC_VALIDATE_FIELDS_H_
#define NAVIT_COMMON_JOB_SPEC_VALIDATE_FIELDS_H_

#include <vector>

#include "common/job_spec/validate.h"
#include "google/protobuf/message.h"

namespace navit {

// Appends what the rules of the fields alone say against `message`: required, bounds, finite,
// known enum numbers, known fields, texts of at most 4096 bytes without control characters. Stops
// at `limit` violations.
void ValidateFields(const google::protobuf::Message& message, size_t limit,
                    std::vector<FieldViolation>* violations);

}  // namespace navit

#endif  // NAVIT_COMMON_JOB_SPEC_VALIDATE_FIELDS_H_
