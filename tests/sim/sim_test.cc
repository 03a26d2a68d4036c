// Millions of protocol events under drawn faults, and proof that the simulator notices when a rule
// of the protocol is taken out. A failure names its seed: bazel run //tests/sim:sim -- SEED
#include <gtest/gtest.h>

#include <cstdio>

#include "tests/sim/simulator.h"

namespace navit::sim {
namespace {

TEST(Simulator, CompletesWithoutFaults) {
  SimOptions options;
  options.faults = false;
  options.fault_seconds = 0;
  for (options.seed = 1; options.seed <= 10; ++options.seed) {
    const SimResult result = Simulate(options);
    EXPECT_EQ(result.violation, "");
    EXPECT_EQ(result.jobs_succeeded, 2u);
    EXPECT_EQ(result.steps_rolled_back, 0u);
  }
}

TEST(Simulator, HoldsTheInvariantsForMillionsOfEventsUnderFaults) {
  SimResult sum;
  SimOptions options;
  for (options.seed = 1000; sum.events < 3000000; ++options.seed) {
    const SimResult result = Simulate(options);
    ASSERT_EQ(result.violation, "");
    sum.events += result.events;
    sum.steps_applied += result.steps_applied;
    sum.generations += result.generations;
    sum.coordinator_crashes += result.coordinator_crashes;
    sum.worker_crashes += result.worker_crashes;
    sum.steps_rolled_back += result.steps_rolled_back;
    sum.packs_evicted += result.packs_evicted;
    sum.packs_hedged += result.packs_hedged;
    sum.stale_rejected += result.stale_rejected;
    sum.jobs_succeeded += result.jobs_succeeded;
  }
  std::printf(
      "seeds 1000 to %lu: %lu events, %lu steps applied, %lu generations, %lu coordinator "
      "crashes, %lu worker crashes, %lu steps rolled back, %lu packs evicted, %lu hedged, %lu "
      "stale "
      "writes refused, %lu jobs succeeded\n",
      options.seed - 1, sum.events, sum.steps_applied, sum.generations, sum.coordinator_crashes,
      sum.worker_crashes, sum.steps_rolled_back, sum.packs_evicted, sum.packs_hedged,
      sum.stale_rejected, sum.jobs_succeeded);
  // The schedules must have reached what they are for.
  EXPECT_GT(sum.coordinator_crashes, 20u);
  EXPECT_GT(sum.worker_crashes, 50u);
  EXPECT_GT(sum.generations, 100u);
  EXPECT_GT(sum.steps_rolled_back, 0u);
  EXPECT_GT(sum.stale_rejected, 0u);
  EXPECT_GT(sum.packs_hedged, 100u);
}

// Whether some seed of a bounded number shows a violation.
bool Noticed(SimOptions options, std::string* first) {
  // The rarest one needs a pack of a deleted job in the very moment in which its successor waits
  // for the pack of that number: one seed of some hundreds.
  for (options.seed = 1; options.seed <= 1000; ++options.seed) {
    const SimResult result = Simulate(options);
    if (result.violation.empty()) continue;
    *first = result.violation;
    // The rule, not the seed, is to blame.
    SimOptions whole;
    whole.seed = options.seed;
    EXPECT_EQ(Simulate(whole).violation, "");
    return true;
  }
  return false;
}

TEST(Simulator, NoticesABrokenPromise) {
  SimOptions options;
  options.broken_promise = true;
  std::string first;
  EXPECT_TRUE(Noticed(options, &first));
  std::printf("%s\n", first.c_str());
}

TEST(Simulator, NoticesThatAppliedStepsAreIgnored) {
  SimOptions options;
  options.broken_rules.ignore_applied_step = true;
  std::string first;
  EXPECT_TRUE(Noticed(options, &first));
  std::printf("%s\n", first.c_str());
}

TEST(Simulator, NoticesThatStaleGenerationsAreAccepted) {
  SimOptions options;
  options.broken_rules.accept_stale_generations = true;
  std::string first;
  EXPECT_TRUE(Noticed(options, &first));
  std::printf("%s\n", first.c_str());
}

TEST(Simulator, NoticesThatStaleLeasesAreAccepted) {
  SimOptions options;
  options.broken_rules.accept_stale_leases = true;
  std::string first;
  EXPECT_TRUE(Noticed(options, &first));
  std::printf("%s\n", first.c_str());
}

}  // namespace
}  // namespace navit::sim
