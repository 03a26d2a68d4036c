// The job file explained by its own rules: what `navitctl init`, `explain` and `schema` print.
#ifndef NAVIT_COMMON_JOB_SPEC_DOCUMENTATION_H_
#define NAVIT_COMMON_JOB_SPEC_DOCUMENTATION_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace navit {

// A commented job file with every field and its default; fields without a default stand there
// commented out, required ones with a placeholder. It parses, and resolves to the defaults.
std::string InitText();

// What one field does: type, default, bounds, how it may change; a group's fields one a line. ""
// explains the file. List elements may be named (data.train[0].shards) or not (data.train.shards).
// NOT_FOUND: no such field, with the one that may be meant.
absl::StatusOr<std::string> ExplainField(absl::string_view path);

// JSON Schema (draft 2020-12) of the job file, for editors.
std::string JsonSchema();

}  // namespace navit

#endif  // NAVIT_COMMON_JOB_SPEC_DOCUMENTATION_H_
