// The job file (INTERFACES: "Job file") -> JobSpec. Walks the message's descriptor: names are
// snake_case, enum values lower-case without prefix, and the field's type decides what a value
// means. Unknown and repeated fields are errors. Safe on any text (see yaml_tree.h).
#ifndef NAVIT_COMMON_JOB_SPEC_PARSE_H_
#define NAVIT_COMMON_JOB_SPEC_PARSE_H_

#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/job_spec/validate.h"
#include "proto/job_spec.pb.h"

namespace navit {

// Where each value of a file stands, by path ("data.train[0].shards"); 1-based.
class SourceLocations {
 public:
  struct Place {
    int line = 0;
    int column = 0;
  };
  void Add(absl::string_view path, Place place);
  // The place of the path, or of the nearest enclosing group that the file has; nullopt: neither.
  std::optional<Place> Find(absl::string_view path) const;

 private:
  absl::flat_hash_map<std::string, Place> places_;
};

// Reads a job file as it stands: nothing is filled in (ResolveJobSpec) or checked beyond types
// (ValidateJobSpec). Values that are empty or null are absent.
//
// INVALID_ARGUMENT: one line per fault, "job.yaml:14:7: packing.sequence_length: must be a whole
// number, is `long`", at most 50.
absl::StatusOr<v1::JobSpec> ParseJobFile(absl::string_view text, absl::string_view filename,
                                         SourceLocations* locations = nullptr);

// Applies "path.to.field=value" to the spec; list elements as a.0.b or a[0].b, where the index may
// be one past the end. The value of a text field is taken as it stands, any other is read as YAML;
// an empty one makes the field absent.
//
// INVALID_ARGUMENT: "packing.sequence_length: must be ...".
absl::Status SetField(absl::string_view assignment, v1::JobSpec* spec);

// "job.yaml:14:7: packing.sequence_length: must be in [16, 65536], is 0".
std::string ViolationText(absl::string_view filename, const SourceLocations& locations,
                          const FieldViolation& violation);

}  // namespace navit

#endif  // NAVIT_COMMON_JOB_SPEC_PARSE_H_
