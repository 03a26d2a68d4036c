// Replays one seed of the simulator with a trace on stderr.
#include <cstdio>
#include <cstdlib>

#include "tests/sim/simulator.h"

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    std::fprintf(stderr, "usage: sim SEED [quiet]\n");
    return 2;
  }
  navit::sim::SimOptions options;
  options.seed = std::strtoull(argv[1], nullptr, 10);
  options.trace = argc == 2;
  const navit::sim::SimResult r = navit::sim::Simulate(options);
  std::printf(
      "events %lu, steps applied %lu, generations %lu, coordinator crashes %lu, worker crashes "
      "%lu, "
      "rolled back %lu, evicted %lu, stale %lu, succeeded %lu, cancelled %lu\n%s\n",
      r.events, r.steps_applied, r.generations, r.coordinator_crashes, r.worker_crashes,
      r.steps_rolled_back, r.packs_evicted, r.stale_rejected, r.jobs_succeeded, r.jobs_cancelled,
      r.violation.empty() ? "all invariants held" : r.violation.c_str());
  return r.violation.empty() ? 0 : 1;
}
