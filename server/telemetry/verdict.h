// What holds a job up: source, decode, packers, relay, network, communication or compute.
//
// A step waits for the slowest of a chain: source → packers → relay → network → compute →
// communication. The verdict follows the chain back from the trainers:
//   1. Trainers wait for data for more than a tenth of a step?  No: communication, if more than a
//      quarter of the step is exposed communication, else compute.
//   2. Whole steps stand in the relay while they wait: they do not arrive, network.
//   3. Else the packers are late. Their threads wait for bytes most of the time: source. For the
//      stream to take what is made: network.  They had nothing to make because the relay's budget
//      is full: relay.  They work all the time: too few packers, or, where the job allows no more
//      of them, decode when that takes most of their time.
#ifndef NAVIT_SERVER_TELEMETRY_VERDICT_H_
#define NAVIT_SERVER_TELEMETRY_VERDICT_H_

#include <cstdint>

#include "proto/telemetry.pb.h"

namespace navit {

// Measured, and what the job allows.
struct VerdictInput {
  v1::JobRates rates;
  // Packs of one step (packing.sequences_per_step).
  uint64_t packs_per_step = 1;
  uint32_t max_packers = 0;
  uint32_t max_trainers = 0;
  // Of the relay, for this job.
  uint64_t relay_packs = 0;
  uint64_t relay_bytes = 0;
  uint64_t relay_budget_bytes = 0;
  bool running = false;
};

// Pure: the same input gives the same words.
v1::Verdict DecideVerdict(const VerdictInput& input);

}  // namespace navit

#endif  // NAVIT_SERVER_TELEMETRY_VERDICT_H_
