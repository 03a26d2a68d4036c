#include "worker/model/schedule.h"

#include <gtest/gtest.h>

#include <cmath>

namespace navit {
namespace {

TEST(ScheduleFactor, WarmsUpThenFallsAlongACosine) {
  Schedule schedule;
  schedule.warmup_fraction = 0.2;
  EXPECT_EQ(ScheduleFactor(schedule, 0, 1), 0);
  EXPECT_DOUBLE_EQ(ScheduleFactor(schedule, 0.1, 1), 0.5);
  EXPECT_DOUBLE_EQ(ScheduleFactor(schedule, 0.2, 1), 1);
  EXPECT_NEAR(ScheduleFactor(schedule, 0.6, 1), 0.5, 1e-12);
  EXPECT_NEAR(ScheduleFactor(schedule, 1, 1), 0, 1e-12);
}

TEST(ScheduleFactor, ConstantWithAndWithoutCooldown) {
  Schedule schedule;
  schedule.kind = v1::ScheduleSpec::CONSTANT;
  schedule.warmup_fraction = 0;
  EXPECT_EQ(ScheduleFactor(schedule, 0, 1), 1);
  EXPECT_EQ(ScheduleFactor(schedule, 0.99, 9), 1);
  schedule.cooldown_fraction = 0.1;
  EXPECT_NEAR(ScheduleFactor(schedule, 0.9, 9), 1, 1e-12);
  EXPECT_NEAR(ScheduleFactor(schedule, 0.95, 9), 0.5, 1e-12);
  EXPECT_NEAR(ScheduleFactor(schedule, 1, 9), 0, 1e-12);
}

TEST(ScheduleFactor, ReciprocalSquareRootFallsToHalfAfterThreeTimescales) {
  Schedule schedule;
  schedule.kind = v1::ScheduleSpec::RSQRT;
  schedule.warmup_fraction = 0.1;
  schedule.timescale_fraction = 0.2;
  EXPECT_DOUBLE_EQ(ScheduleFactor(schedule, 0.1, 1), 1);
  EXPECT_NEAR(ScheduleFactor(schedule, 0.3, 1), std::sqrt(0.5), 1e-12);
  EXPECT_NEAR(ScheduleFactor(schedule, 0.7, 1), 0.5, 1e-12);
  schedule.cooldown_fraction = 0.6;
  EXPECT_NEAR(ScheduleFactor(schedule, 0.7, 1), 0.25, 1e-12);
}

// In a job of 200 steps 20 of them are a tenth of the training.
TEST(ScheduleFactor, WarmUpInStepsEqualsThatInShares) {
  Schedule shares, steps;
  shares.warmup_fraction = 0.1;
  steps.warmup_steps = 20;
  for (const auto kind :
       {v1::ScheduleSpec::COSINE, v1::ScheduleSpec::RSQRT, v1::ScheduleSpec::CONSTANT}) {
    shares.kind = steps.kind = kind;
    for (uint64_t step = 1; step <= 200; ++step) {
      EXPECT_NEAR(ScheduleFactor(steps, step / 200.0, step),
                  ScheduleFactor(shares, step / 200.0, step), 1e-12)
          << step;
    }
  }
}

}  // namespace
}  // namespace navit
