#include "packer/telemetry.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "packer/metrics.h"

namespace navit {
namespace {

v1::PackHeader Header(const std::string& job) {
  v1::PackHeader header;
  header.set_job(job);
  header.set_split(v1::SPLIT_TRAIN);
  header.set_capacity_tokens(64);
  header.set_image_tokens(48);
  header.set_text_tokens(9);
  header.set_sum_squares(1000);
  header.set_valid_examples(3);
  return header;
}

PackStats Stats() {
  PackStats stats;
  stats.samples_read = 4;
  stats.read_bytes = 5000;
  stats.hole_tokens = 6;
  stats.stage_seconds[static_cast<size_t>(Stage::kDecode)] = 0.5;
  stats.examples.push_back({100, 1.5, 0.25});
  return stats;
}

TEST(PackerTelemetryTest, SaysWhatTheMetricsSay) {
  PackerMetrics metrics(3);
  metrics.PackMade(Header("a"), Stats(), /*again=*/false);
  metrics.PackMade(Header("a"), Stats(), /*again=*/false);
  metrics.SendSeconds("a", 0.25);
  metrics.BlockedDownstream(1.5);
  metrics.BlockedSource(2.5);
  const v1::PackerTelemetry telemetry = PackerTelemetryOf(metrics.registry()->Collect());
  EXPECT_EQ(telemetry.threads(), 3);
  EXPECT_EQ(telemetry.blocked_downstream_seconds(), 1.5);
  EXPECT_EQ(telemetry.blocked_source_seconds(), 2.5);
  ASSERT_EQ(telemetry.jobs_size(), 1);
  const v1::PackerTelemetry::Job& job = telemetry.jobs(0);
  EXPECT_EQ(job.job(), "a");
  EXPECT_EQ(job.packs(), 2);
  EXPECT_EQ(job.samples_read(), 8);
  EXPECT_EQ(job.read_bytes(), 10000);
  EXPECT_EQ(job.capacity_tokens(), 128);
  EXPECT_EQ(job.used_tokens(), 96);
  EXPECT_EQ(job.hole_tokens(), 12);
  EXPECT_EQ(job.text_tokens(), 18);
  EXPECT_EQ(job.attention_useful(), 2000);
  EXPECT_EQ(job.attention_dense(), 2 * 64 * 64);
  double decode = 0, send = 0;
  for (const v1::NamedSeconds& stage : job.stages()) {
    if (stage.name() == "decode") decode = stage.seconds();
    if (stage.name() == "send") send = stage.seconds();
  }
  EXPECT_EQ(decode, 1.0);
  EXPECT_EQ(send, 0.25);
  // 48 of 64 is 0.75: in the bucket (0.7, 0.8].
  const v1::Distribution& fill = job.fill_ratio();
  ASSERT_EQ(fill.counts_size(), fill.bounds_size() + 1);
  for (int i = 0; i < fill.counts_size(); ++i) {
    const bool here = i < fill.bounds_size() && fill.bounds(i) == 0.8;
    EXPECT_EQ(fill.counts(i), here ? 2 : 0) << i;
  }
  EXPECT_DOUBLE_EQ(fill.sum(), 1.5);
  EXPECT_EQ(job.resolution_pixels().sum(), 200);
}

TEST(PackerTelemetryTest, IsBoundedInJobsAndBytes) {
  PackerMetrics metrics(1);
  for (int i = 0; i < 100; ++i) {
    metrics.PackMade(Header(absl::StrCat("job-", i)), Stats(), /*again=*/false);
  }
  const v1::PackerTelemetry telemetry = PackerTelemetryOf(metrics.registry()->Collect());
  EXPECT_EQ(telemetry.jobs_size(), kMaxTelemetryJobs);
  EXPECT_LT(telemetry.ByteSizeLong(), 40000);
}

}  // namespace
}  // namespace navit
