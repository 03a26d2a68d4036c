// Whether a resolved job spec can be run, decided from the spec alone.
#ifndef NAVIT_COMMON_JOB_SPEC_VALIDATE_H_
#define NAVIT_COMMON_JOB_SPEC_VALIDATE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "proto/job_spec.pb.h"

namespace navit {

struct FieldViolation {
  // "packing.sequence_length", "data.train[0].shards".
  std::string path;
  // "must be in [16, 65536], is 0".
  std::string message;
};

// Every fault of a spec that went through ResolveJobSpec, in the order of the fields; empty: the
// spec can be run. Safe on any message that protobuf can parse: bounds, unknown enum numbers,
// unknown fields, NaN, lists and texts of any length are checked, and at most 100 faults listed.
//
// Besides the bounds of the field rules: name is a DNS label; exactly one train data set and at
// most one validation data set; paths are absolute (the processes of a job have different working
// folders); min <= max wherever a pair has these names; mean < max of the Beta token drop; heads
// divide width; exactly one field of train_for; heartbeat < lease < collective; relay_bytes holds
// two steps.
std::vector<FieldViolation> ValidateJobSpec(const v1::JobSpec& spec);

// Upper estimate of one step's packs on their way, in bytes. Requires a resolved spec.
double EstimatedStepBytes(const v1::JobSpec& spec);

}  // namespace navit

#endif  // NAVIT_COMMON_JOB_SPEC_VALIDATE_H_
