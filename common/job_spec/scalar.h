// Text of a single value in the job file's dialect <-> the value in a message. The field's type
// decides what a text means, never the text's looks: 1.0 in a text field is the text "1.0".
#ifndef NAVIT_COMMON_JOB_SPEC_SCALAR_H_
#define NAVIT_COMMON_JOB_SPEC_SCALAR_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"

namespace navit {

// Parses `text` as the type of `field` (no group) and stores it in `message`; appends when the
// field is repeated. Whole numbers may be written 320000000 or 3.2e8, but must be whole and fit the
// type; NaN and infinity are refused.
//
// INVALID_ARGUMENT: "must be a whole number, is `x`". The message names no path.
absl::Status StoreScalar(absl::string_view text, const google::protobuf::FieldDescriptor& field,
                         google::protobuf::Message* message);

// The value as StoreScalar takes it: unquoted, exact. `index` counts only for repeated fields.
std::string ScalarText(const google::protobuf::Message& message,
                       const google::protobuf::FieldDescriptor& field, int index = 0);

// A text in quotes for an error message: cut when long, control characters escaped.
std::string Quoted(absl::string_view text);

}  // namespace navit

#endif  // NAVIT_COMMON_JOB_SPEC_SCALAR_H_
