#include "common/job_spec/update.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/job_spec/parse.h"
#include "common/job_spec/resolve.h"

namespace navit {
namespace {

// Whole fields, or with a dot at the end whole groups.
constexpr absl::string_view kUpdatable[] = {
    "priority",
    "workers.trainers.min",
    "workers.trainers.max",
    "workers.packers.",
    "evaluation.",
    "checkpoints.every_steps",
    "checkpoints.keep_last",
    "checkpoints.keep_every_steps",
    "budgets.bad_sample_fraction",
    "budgets.recoveries_without_progress",
    "budgets.nonfinite_steps",
    "budgets.max_hours",
    "timeouts.",
};

bool IsUpdatable(absl::string_view path) {
  return std::any_of(std::begin(kUpdatable), std::end(kUpdatable), [&](absl::string_view one) {
    return path == one || (absl::EndsWith(one, ".") && absl::StartsWith(path, one));
  });
}

}  // namespace

std::vector<FieldViolation> UpdateSpec(const std::vector<std::string>& assignments,
                                       v1::JobSpec* spec) {
  std::vector<FieldViolation> violations;
  for (const std::string& assignment : assignments) {
    const std::pair<std::string, std::string> parts =
        absl::StrSplit(assignment, absl::MaxSplits('=', 1));
    if (!IsUpdatable(parts.first)) {
      violations.push_back(
          {parts.first, absl::StrCat("cannot change in a submitted job; what can: ",
                                     absl::StrJoin(kUpdatable, ", "))});
    } else if (const absl::Status set = SetField(assignment, spec); !set.ok()) {
      violations.push_back({parts.first, std::string(absl::StripPrefix(
                                             set.message(), absl::StrCat(parts.first, ": ")))});
    }
  }
  if (!violations.empty()) return violations;
  ResolveJobSpec(spec);
  return ValidateJobSpec(*spec);
}

}  // namespace navit
