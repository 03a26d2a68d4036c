// Previews and forecasts: work of no job, done by a packer for somebody who waits.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "server/core/coordinator_fixture.h"

namespace navit {
namespace {

TEST_F(CoordinatorTest, AProbeGoesToAPackerAndItsResultToWhoAsked) {
  Work();
  v1::PreviewRequest request;
  *request.mutable_spec() = submit_.spec();
  request.set_window(3);
  const auto probe = c_.StartPreview(request);
  ASSERT_TRUE(probe.ok()) << probe.status();
  EXPECT_FALSE(c_.ProbeResult(*probe).has_value());
  const auto work = c_.LeaseWork(packer_, now_);
  ASSERT_TRUE(work.ok());
  ASSERT_TRUE(work->has_probe());
  EXPECT_EQ(work->probe().manifest_hash(), "");
  EXPECT_EQ(work->probe().preview().window(), 3u);
  EXPECT_EQ(work->probe().preview().rows(), 8u);
  EXPECT_EQ(c_.gauges(now_).leases.at("probe"), 1u);
  const auto workers = c_.ListWorkers(now_);
  for (const auto& worker : workers.workers()) {
    if (worker.name() == "p") {
      EXPECT_EQ(worker.state(), "busy");
    }
    for (const std::string& job : worker.jobs()) EXPECT_EQ(job, "j");
  }
  // Nobody else gets it.
  EXPECT_FALSE(c_.LeaseWork(packer_, now_)->has_probe());
  v1::FinishWorkRequest finish;
  *finish.mutable_worker() = packer_;
  finish.set_lease_epoch(work->lease_epoch());
  finish.mutable_probed()->mutable_preview()->set_png("picture");
  ASSERT_TRUE(c_.FinishWork(finish, now_).ok());
  ASSERT_TRUE(c_.FinishWork(finish, now_).ok());  // As if its answer was lost.
  const auto result = c_.ProbeResult(*probe);
  ASSERT_TRUE(result.has_value() && result->ok());
  EXPECT_EQ((*result)->preview().png(), "picture");
  EXPECT_TRUE(absl::IsNotFound(c_.ProbeResult(*probe)->status()));
  // Nothing of it is a job's, or stored.
  EXPECT_EQ(c_.List().jobs_size(), 1);
}

TEST_F(CoordinatorTest, APreviewOfAJobIsOfItsFrozenData) {
  v1::PreviewRequest request;
  request.set_job("nobody");
  EXPECT_TRUE(absl::IsNotFound(c_.StartPreview(request).status()));
  Work();
  request.set_job("j");
  request.set_rows(33);
  EXPECT_TRUE(absl::IsInvalidArgument(c_.StartPreview(request).status()));
  request.set_rows(2);
  ASSERT_TRUE(c_.StartPreview(request).ok());
  const auto work = c_.LeaseWork(packer_, now_);
  ASSERT_TRUE(work->has_probe());
  EXPECT_TRUE(c_.GetManifest(work->probe().manifest_hash()).ok());
  EXPECT_EQ(work->probe().spec().name(), "j");
}

TEST_F(CoordinatorTest, WhatAPackerFindsWrongComesBack) {
  for (const bool fatal : {true, false}) {
    const auto probe = c_.StartForecast(submit_.spec());
    const auto work = c_.LeaseWork(packer_, now_);
    ASSERT_TRUE(work->probe().has_forecast());
    v1::FinishWorkRequest finish;
    *finish.mutable_worker() = packer_;
    finish.set_lease_epoch(work->lease_epoch());
    finish.mutable_failure()->set_message("a.tar: gone");
    finish.mutable_failure()->set_fatal(fatal);
    ASSERT_TRUE(c_.FinishWork(finish, now_).ok());
    const absl::Status status = c_.ProbeResult(*probe)->status();
    EXPECT_EQ(status.code(),
              fatal ? absl::StatusCode::kInvalidArgument : absl::StatusCode::kUnavailable);
    EXPECT_NE(status.message().find("a.tar: gone"), std::string::npos);
  }
  EXPECT_NE(c_.Get("j")->state(), v1::FAILED);
}

TEST_F(CoordinatorTest, AProbeOutlivesOnePackerButNotAll) {
  const auto probe = c_.StartForecast(submit_.spec());
  ASSERT_TRUE(probe.ok());
  const auto first = c_.LeaseWork(packer_, now_);
  ASSERT_TRUE(first->has_probe());
  now_.steady += 11;  // Beyond the lease and the heartbeat.
  c_.Tick(now_);
  EXPECT_TRUE(absl::IsUnavailable(c_.ProbeResult(*probe)->status())) << "the only packer has gone";
  EXPECT_TRUE(absl::IsUnavailable(c_.StartForecast(submit_.spec()).status()));

  v1::RegisterRequest again;
  *again.mutable_worker() = packer_;
  again.set_role(v1::PACKER);
  const auto second = [&] {
    EXPECT_TRUE(c_.Register(again, now_).ok());
    return *c_.StartForecast(submit_.spec());
  }();
  for (int attempt = 0; attempt < 2; ++attempt) {
    EXPECT_TRUE(c_.LeaseWork(packer_, now_)->has_probe());
    now_.steady += 11;
    c_.Tick(now_);
    EXPECT_TRUE(c_.Register(again, now_).ok());
  }
  // It took two packers with it: no third one gets it.
  EXPECT_FALSE(c_.LeaseWork(packer_, now_)->has_probe());
  EXPECT_TRUE(absl::IsUnavailable(c_.ProbeResult(second)->status()));
}

TEST_F(CoordinatorTest, ProbesAreBoundedAndADroppedOneEndsItsLease) {
  std::vector<uint64_t> probes;
  while (true) {
    const auto probe = c_.StartForecast(submit_.spec());
    if (!probe.ok()) {
      EXPECT_TRUE(absl::IsResourceExhausted(probe.status()));
      break;
    }
    probes.push_back(*probe);
    ASSERT_LT(probes.size(), 100u);
  }
  const auto work = c_.LeaseWork(packer_, now_);
  ASSERT_TRUE(work->has_probe());
  for (const uint64_t probe : probes) c_.DropProbe(probe);
  EXPECT_FALSE(c_.LeaseWork(packer_, now_)->has_probe());
  v1::FinishWorkRequest finish;
  *finish.mutable_worker() = packer_;
  finish.set_lease_epoch(work->lease_epoch());
  finish.mutable_probed();
  EXPECT_TRUE(absl::IsFailedPrecondition(c_.FinishWork(finish, now_)));
}

TEST_F(CoordinatorTest, AProbeWaitsForAPackerOfItsPlanVersion) {
  v1::JobSpec spec = submit_.spec();
  v1::RegisterRequest only;
  packer_.set_incarnation(2);
  *only.mutable_worker() = packer_;
  only.set_role(v1::PACKER);
  only.add_plan_versions(1);
  ASSERT_TRUE(c_.Register(only, now_).ok());
  spec.mutable_packing()->set_plan_version(9);
  EXPECT_TRUE(absl::IsUnavailable(c_.StartForecast(spec).status()));
  spec.mutable_packing()->set_plan_version(1);
  EXPECT_TRUE(c_.StartForecast(spec).ok());
}

}  // namespace
}  // namespace navit
