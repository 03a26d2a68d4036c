// Changes of a job that is submitted already: workers, priority, cadences, budgets and time-outs.
// Everything else would make another job of it.
#ifndef NAVIT_COMMON_JOB_SPEC_UPDATE_H_
#define NAVIT_COMMON_JOB_SPEC_UPDATE_H_

#include <string>
#include <vector>

#include "common/job_spec/validate.h"
#include "proto/job_spec.pb.h"

namespace navit {

// Applies assignments as SetField takes them ("workers.trainers.max=8") to a resolved spec and
// resolves it again: an empty value brings a field's default back. Returns what is wrong, fields
// that may not change among it; the spec is then of no use.
std::vector<FieldViolation> UpdateSpec(const std::vector<std::string>& assignments,
                                       v1::JobSpec* spec);

}  // namespace navit

#endif  // NAVIT_COMMON_JOB_SPEC_UPDATE_H_
