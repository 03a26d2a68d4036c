// The whole protocol in one process: a coordinator, trainers and packers over a network that loses,
// delays and reorders, with drawn crashes, partitions and stores that fail in mid-write. Everything
// that happens follows from the seed.
//
// What is real: Coordinator and TrainerProtocol. What is modelled: the network, the store (what was
// acknowledged survives a crash; what was being written may or may not), collectives (a step
// completes for a rank once all ranks gave their part, at a time of its own, unless the rank was
// aborted before), packs (a hash per pack) and weights (the list of the pack digests of all steps
// that were ever applied to them).
//
// Checked throughout, by an oracle that knows every pack's hash and place from the job alone:
//   I1  weights have consumed exactly the packs of steps 1, 2, …, n, each once and in order; the
//       committed step equals what the weights of a generation contain when it starts; every record
//       has the digest of its step; replicas of one step are equal.
//   I3  after a restart of the coordinator nothing that was acknowledged is missing.
//   I5  the relay's bytes, present and granted, stay within the job's budget.
//   I7  once faults cease, every job comes to its end within a stated time.
#ifndef NAVIT_TESTS_SIM_SIMULATOR_H_
#define NAVIT_TESTS_SIM_SIMULATOR_H_

#include <cstdint>
#include <string>

#include "server/core/coordinator.h"

namespace navit::sim {

struct SimOptions {
  uint64_t seed = 1;
  bool faults = true;
  // Simulated seconds with faults, and the time after them within which all jobs must end.
  double fault_seconds = 120;
  double settle_seconds = 240;
  CoordinatorOptions::BrokenRules broken_rules;
  bool broken_promise = false;
  bool trace = false;
};

struct SimResult {
  // Empty: all invariants held. Else the first violation.
  std::string violation;
  uint64_t events = 0;
  uint64_t steps_applied = 0;
  uint64_t generations = 0;
  uint64_t coordinator_crashes = 0;
  uint64_t worker_crashes = 0;
  uint64_t steps_rolled_back = 0;
  uint64_t packs_evicted = 0;
  uint64_t packs_hedged = 0;
  uint64_t stale_rejected = 0;
  uint64_t jobs_succeeded = 0;
  uint64_t jobs_cancelled = 0;
};

SimResult Simulate(const SimOptions& options);

}  // namespace navit::sim

#endif  // NAVIT_TESTS_SIM_SIMULATOR_H_
