#include "worker/telemetry.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "worker/metrics.h"

namespace navit {
namespace {

TEST(TrainerTelemetryTest, SaysWhatTheMetricsOfTheRankSay) {
  TrainerMetrics metrics;
  metrics.SetRun("other", 0, 1, 5e9);
  metrics.StepApplied(absl::Seconds(1), 8, 100, 50, 3e6);
  metrics.SetRun("job", 2, 4, 8e9);
  metrics.AddPhase("forward", absl::Seconds(2));
  metrics.AddPhase("data_wait", absl::Milliseconds(500));
  metrics.StepApplied(absl::Seconds(3), 8, 100, 50, 7e6);
  metrics.SetLag(absl::Milliseconds(250));
  metrics.SetPrefetch(6, 600, 4 << 20);
  CollectiveTraffic traffic;
  traffic.all_reduce_bytes = 1000;
  traffic.broadcast_bytes = 24;
  metrics.SetTraffic(traffic);

  const v1::TrainerTelemetry telemetry = metrics.Telemetry();
  EXPECT_EQ(telemetry.job(), "job");
  EXPECT_EQ(telemetry.rank(), 2);
  EXPECT_EQ(telemetry.steps(), 1);
  EXPECT_EQ(telemetry.useful_flops(), 7e6);
  EXPECT_EQ(telemetry.peak_flops(), 8e9);
  EXPECT_EQ(telemetry.lag_seconds(), 0.25);
  EXPECT_EQ(telemetry.comm_bytes(), 1024);
  EXPECT_EQ(telemetry.prefetch_packs(), 6);
  std::map<std::string, double> phases;
  for (const v1::NamedSeconds& phase : telemetry.phases()) phases[phase.name()] = phase.seconds();
  EXPECT_EQ(phases.size(), 9);
  EXPECT_EQ(phases["forward"], 2);
  EXPECT_EQ(phases["data_wait"], 0.5);
  EXPECT_LT(telemetry.ByteSizeLong(), 1000);
}

TEST(TrainerTelemetryTest, WithoutAJobThereIsNothingToSay) {
  TrainerMetrics metrics;
  EXPECT_EQ(metrics.Telemetry().steps(), 0);
  EXPECT_TRUE(metrics.Telemetry().job().empty());
}

}  // namespace
}  // namespace navit
