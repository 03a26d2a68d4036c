// What a job will cost, from its spec alone: no coordinator, no data.
#ifndef NAVIT_CLI_EXPECTATION_H_
#define NAVIT_CLI_EXPECTATION_H_

#include <string>

#include "absl/status/statusor.h"
#include "proto/job_spec.pb.h"

namespace navit {

// Lines "name: value" of a resolved spec: parameters, memory of a trainer's state, bounds of the
// useful FLOPs of a step, bytes of a step in the relay against its budget. The bounds of FLOPs are
// full sequences of one image each with the shortest caption, and of max_examples_per_sequence
// images each with captions of max_tokens; fewer images mean more attention, more images more text,
// so that either can be the larger. InvalidArgument names a field of `model`.
// `with_bounds`: say the bounds; false where the data has told more (forecast_text.h).
absl::StatusOr<std::string> Expectation(const v1::JobSpec& spec, bool with_bounds);

}  // namespace navit

#endif  // NAVIT_CLI_EXPECTATION_H_
