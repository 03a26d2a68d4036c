// A job that is right, and what validate says of it once it was changed; for the tests of
// validate.h.
#ifndef NAVIT_COMMON_JOB_SPEC_VALIDATE_FIXTURE_H_
#define NAVIT_COMMON_JOB_SPEC_VALIDATE_FIXTURE_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/job_spec/resolve.h"
#include "common/job_spec/validate.h"

namespace navit {

inline v1::JobSpec GoodSpec() {
  v1::JobSpec spec;
  spec.set_name("good");
  spec.mutable_data()->add_train()->set_shards("/data/{000..003}.tar");
  spec.mutable_checkpoints()->set_directory("/checkpoints");
  spec.mutable_train_for()->set_epochs(1);
  return spec;
}

// "path: message" of every violation after `change` was applied to a good spec.
inline std::vector<std::string> Violations(const std::function<void(v1::JobSpec&)>& change) {
  v1::JobSpec spec = GoodSpec();
  change(spec);
  ResolveJobSpec(&spec);
  std::vector<std::string> texts;
  for (const FieldViolation& violation : ValidateJobSpec(spec)) {
    texts.push_back(absl::StrCat(violation.path, ": ", violation.message));
  }
  return texts;
}

}  // namespace navit

#endif  // NAVIT_COMMON_JOB_SPEC_VALIDATE_FIXTURE_H_
