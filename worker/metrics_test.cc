#include "worker/metrics.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "common/metrics.h"

namespace navit {
namespace {

constexpr absl::Duration kNow = absl::Seconds(1000);

// Whether a series of `name` and this rank is exported.
bool Shows(const TrainerMetrics& metrics, const std::string& name, int rank) {
  for (absl::string_view line : absl::StrSplit(MetricsText({metrics.registry()}), '\n')) {
    if (absl::StartsWith(line, absl::StrCat(name, "{")) &&
        absl::StrContains(line, absl::StrCat("rank=\"", rank, "\""))) {
      return true;
    }
  }
  return false;
}

class TrainerMetricsTest : public ::testing::Test {
 protected:
  // One step of rank 1 of 2.
  TrainerMetricsTest() {
    metrics_.SetRun("job", 1, 2, 5e9);
    metrics_.SetLag(absl::Seconds(1));
    metrics_.SetPrefetch(3, 300, 1000);
    metrics_.SetDeviceMemory({.total = 4, .used = 3, .arena_reserved = 2, .arena_used = 1});
    metrics_.StepApplied(absl::Seconds(1), 8, 100, 50, 3e6);
    metrics_.CheckpointWritten(77, absl::UnixEpoch());
  }

  TrainerMetrics metrics_;
};

TEST_F(TrainerMetricsTest, WhatARankIsAndHoldsGoesWithItsRun) {
  const char* const kPresent[] = {
      "navit_world_size",
      "navit_rank_step_lag_seconds",
      "navit_device_peak_flops_per_second",
      "navit_device_memory_bytes",
      "navit_trainer_prefetch_packs",
      "navit_trainer_prefetch_bytes",
      "navit_trainer_prefetch_cap_bytes",
  };
  for (const char* name : kPresent) EXPECT_TRUE(Shows(metrics_, name, 1)) << name;
  metrics_.RunEnded("broken", kNow);
  for (const char* name : kPresent) EXPECT_FALSE(Shows(metrics_, name, 1)) << name;
  // The same trainer as another rank.
  metrics_.SetRun("job", 0, 1, 5e9);
  EXPECT_TRUE(Shows(metrics_, "navit_world_size", 0));
  EXPECT_FALSE(Shows(metrics_, "navit_world_size", 1));
}

TEST_F(TrainerMetricsTest, WhatARankDidGoesFifteenMinutesAfterItsRun) {
  metrics_.RunEnded("stopped", kNow);
  metrics_.ForgetEnded(kNow + absl::Minutes(14));
  for (const char* name : {"navit_steps_committed_total", "navit_step_duration_seconds_count",
                           "navit_checkpoint_bytes", "navit_reconfigurations_total"}) {
    EXPECT_TRUE(Shows(metrics_, name, 1)) << name;
  }
  metrics_.ForgetEnded(kNow + absl::Minutes(15));
  const std::string text = MetricsText({metrics_.registry()});
  EXPECT_FALSE(absl::StrContains(text, "navit_job=")) << text;
  // Of the process, not of a job.
  EXPECT_TRUE(absl::StrContains(text, "navit_trainer_time_seconds_total{")) << text;
}

TEST_F(TrainerMetricsTest, MemoryOfTheGpuIsShownByKind) {
  const std::string text = MetricsText({metrics_.registry()});
  const auto shown = [](const char* kind, int value) {
    return absl::StrCat("navit_device_memory_bytes{kind=\"", kind,
                        "\",navit_job=\"job\",rank=\"1\"} ", value, "\n");
  };
  EXPECT_TRUE(absl::StrContains(text, shown("total", 4))) << text;
  EXPECT_TRUE(absl::StrContains(text, shown("used", 3))) << text;
  EXPECT_TRUE(absl::StrContains(text, shown("arena_reserved", 2))) << text;
  EXPECT_TRUE(absl::StrContains(text, shown("arena_used", 1))) << text;
}

TEST_F(TrainerMetricsTest, ARankThatRunsAgainCountsOn) {
  metrics_.RunEnded("broken", kNow);
  metrics_.SetRun("job", 1, 2, 5e9);
  metrics_.ForgetEnded(kNow + absl::Hours(1));
  metrics_.StepApplied(absl::Seconds(1), 8, 100, 50, 3e6);
  EXPECT_TRUE(absl::StrContains(MetricsText({metrics_.registry()}),
                                "navit_steps_committed_total{navit_job=\"job\",rank=\"1\"} 2"));
}

}  // namespace
}  // namespace navit
