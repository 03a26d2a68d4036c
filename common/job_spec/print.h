// Any message of ours -> JSON or YAML in the job file's dialect: what `-o json|yaml` prints for
// specs, jobs, workers, checkpoints and audits alike.
//
// Fields of a job spec (those with a rule) are printed when present; fields of other messages
// always, groups when set. 64-bit integers are plain numbers, bytes are base64, NaN and infinity
// are null (JSON has no other word). What is printed of a JobSpec parses back to an equal one.
#ifndef NAVIT_COMMON_JOB_SPEC_PRINT_H_
#define NAVIT_COMMON_JOB_SPEC_PRINT_H_

#include <string>

#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"

namespace navit {

// Indented by two spaces, with a final newline.
std::string ToJson(const google::protobuf::Message& message);
// The same in one line.
std::string ToJsonLine(const google::protobuf::Message& message);
std::string ToYaml(const google::protobuf::Message& message);

// A JSON string with its quotes; also a YAML double-quoted one.
std::string JsonString(absl::string_view text);
// A YAML scalar: plain where no reader could take it for anything but text, else quoted.
std::string YamlString(absl::string_view text);

}  // namespace navit

#endif  // NAVIT_COMMON_JOB_SPEC_PRINT_H_
