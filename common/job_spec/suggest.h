// "did you mean ...?" for field names.
#ifndef NAVIT_COMMON_JOB_SPEC_SUGGEST_H_
#define NAVIT_COMMON_JOB_SPEC_SUGGEST_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "google/protobuf/descriptor.h"

namespace navit {

// Number of single-character insertions, deletions, replacements and swaps of neighbours between
// two short names.
int EditDistance(absl::string_view a, absl::string_view b);

// The candidate nearest to `name`, or "" when none is near enough to be meant.
std::string NearestName(absl::string_view name, const std::vector<std::string>& candidates);

// A hint for an unknown field of `type`: "; did you mean sequence_length?", or where a field of
// that name stands elsewhere in a job file: "; did you mean packing.sequence_length?", or "".
std::string SuggestField(absl::string_view name, const google::protobuf::Descriptor& type);

}  // namespace navit

#endif  // NAVIT_COMMON_JOB_SPEC_SUGGEST_H_
