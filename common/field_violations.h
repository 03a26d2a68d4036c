// Faulty fields on their way through a gRPC status: google.rpc.BadRequest in its details.
#ifndef NAVIT_COMMON_FIELD_VIOLATIONS_H_
#define NAVIT_COMMON_FIELD_VIOLATIONS_H_

#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/job_spec/validate.h"

namespace navit {

// INVALID_ARGUMENT with one line per violation in the message ("packing.sequence_length: must be in
// [16, 65536], is 0") and the same in the details. `violations` must not be empty.
absl::Status InvalidFields(const std::vector<FieldViolation>& violations);

// The violations that a status from ToGrpcStatus/FromGrpcStatus carries; empty: none.
std::vector<FieldViolation> FieldViolationsOf(const absl::Status& status);

}  // namespace navit

#endif  // NAVIT_COMMON_FIELD_VIOLATIONS_H_
