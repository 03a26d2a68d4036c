// The coordinator from job to evaluation and audit, with workers played by hand.
#include "server/core/coordinator.h"

#include <gtest/gtest.h>

#include <set>

#include "absl/strings/str_cat.h"
#include "common/packs_digest.h"

namespace navit {
namespace {

class MemoryStore : public EventStore {
 public:
  absl::Status Load(const std::function<absl::Status(const v1::Event&)>& apply) override {
    for (const v1::Event& event : events) {
      if (absl::Status status = apply(event); !status.ok()) return status;
    }
    return absl::OkStatus();
  }
  absl::Status Append(absl::Span<const v1::Event> more) override {
    if (fails) return absl::InternalError("disk full");
    events.insert(events.end(), more.begin(), more.end());
    return absl::OkStatus();
  }
  std::vector<v1::Event> events;
  bool fails = false;
};

class CoordinatorTest : public testing::Test {
 protected:
  CoordinatorTest() : c_(CoordinatorOptions(), &store_) {
    packer_.set_name("p");
    packer_.set_incarnation(1);
    trainer_.set_name("t");
    trainer_.set_incarnation(1);
    v1::JobSpec& spec = *submit_.mutable_spec();
    spec.mutable_data()->add_validation();
    spec.set_name("j");
    spec.mutable_packing()->set_sequences_per_step(1);
    spec.mutable_packing()->set_max_examples_per_sequence(1);
    spec.mutable_packing()->set_window_samples(16);
    spec.mutable_packing()->set_windows_per_group(1);
    spec.mutable_packing()->set_plan_version(1);
    spec.mutable_data()->add_train()->set_weight(1);
    spec.mutable_train_for()->set_epochs(1);
    spec.mutable_workers()->mutable_trainers()->set_min(1);
    spec.mutable_workers()->mutable_trainers()->set_max(1);
    spec.mutable_checkpoints()->set_keep_last(2);
    spec.mutable_budgets()->set_recoveries_without_progress(5);
    spec.mutable_budgets()->set_relay_bytes(1 << 20);
    spec.mutable_timeouts()->set_lease_seconds(10);
  }
  void SetUp() override {
    ASSERT_TRUE(c_.Start(now_).ok());
    v1::RegisterRequest request;
    *request.mutable_worker() = packer_;
    request.set_role(v1::PACKER);
    ASSERT_TRUE(c_.Register(request, now_).ok());
    *request.mutable_worker() = trainer_;
    request.set_role(v1::TRAINER);
    ASSERT_TRUE(c_.Register(request, now_).ok());
    Report(v1::TrainerState::IDLE, 0);
    ASSERT_TRUE(c_.Submit(submit_, now_).ok());
  }
  void Report(v1::TrainerState::Kind kind, uint64_t generation) {
    v1::WorkerReport report;
    *report.mutable_worker() = trainer_;
    report.mutable_trainer()->set_kind(kind);
    report.mutable_trainer()->set_generation(generation);
    if (kind != v1::TrainerState::IDLE) {
      const auto directive = c_.DirectiveFor(trainer_, now_);
      report.mutable_trainer()->set_job("j");
      report.mutable_trainer()->set_job_uid(directive->trainer().job().job_uid());
    }
    ASSERT_TRUE(c_.OnReport(report, now_).ok());
  }
  // Does every piece of work there is: two shards of 16 samples each, train and validation; every
  // window has 3 packs.
  void Work() {
    for (;;) {
      const auto work = c_.LeaseWork(packer_, now_);
      ASSERT_TRUE(work.ok());
      if (work->lease_epoch() == 0) return;
      v1::FinishWorkRequest request;
      *request.mutable_worker() = packer_;
      request.set_lease_epoch(work->lease_epoch());
      if (work->has_expand_shards()) {
        request.mutable_shards()->add_train("a");
        request.mutable_shards()->add_train_datasets(1);
        request.mutable_shards()->add_validation("b");
      } else if (work->has_index_shard()) {
        request.mutable_shard()->set_path(work->index_shard().shard());
        request.mutable_shard()->set_samples(16);
      } else if (work->has_audit()) {
        for (uint64_t w : work->audit().windows()) {
          auto* window = request.mutable_audited()->add_windows();
          window->set_window(w);
          window->set_digest(77);
          for (uint32_t n : {6, 5, 5}) window->add_pack_samples(n);
          for (uint64_t s = 0; s < 16; ++s) {
            window->add_samples(s);
            window->add_epochs(0);
          }
        }
      } else {
        leased_[work->lease_epoch()] = work->window();
        request.mutable_plan()->set_packs(3);
        request.mutable_plan()->set_digest(77);
        request.mutable_plan()->set_plan_version(1);
      }
      ASSERT_TRUE(c_.FinishWork(request, now_).ok());
      ASSERT_TRUE(c_.FinishWork(request, now_).ok());  // As if its answer was lost.
    }
  }
  // Makes every pack that is granted.
  void Push() {
    const auto reply = c_.NextGrants(packer_, stream_, now_);
    ASSERT_TRUE(reply.ok());
    for (const auto& grant : reply->grants()) {
      for (uint32_t index : grant.indexes()) {
        v1::PackHeader header;
        header.set_job("j");
        header.set_lease_epoch(grant.lease_epoch());
        header.set_split(leased_[grant.lease_epoch()].split());
        header.set_window(leased_[grant.lease_epoch()].window());
        header.set_index(index);
        header.set_content_hash(index + 1);
        const auto verdict = c_.OnPack(packer_, header, 100, now_);
        ASSERT_TRUE(verdict.ok()) << verdict.status();
        EXPECT_TRUE(verdict->keep);
        EXPECT_FALSE(c_.OnPack(packer_, header, 100, now_)->keep);
      }
    }
  }
  void OpenGeneration() {
    Work();
    c_.Tick(now_);
    Report(v1::TrainerState::JOINED, 1);
    Report(v1::TrainerState::RUNNING, 1);
    ASSERT_EQ(c_.Get("j")->state(), v1::RUNNING);
    stream_ = *c_.OpenPush(packer_, now_);
    Work();
    Push();
  }

  Instant now_{100, 1000};
  MemoryStore store_;
  Coordinator c_;
  v1::WorkerId packer_, trainer_;
  v1::SubmitRequest submit_;
  uint64_t stream_ = 0;
  std::map<uint64_t, v1::WindowLease> leased_;
};

TEST_F(CoordinatorTest, DealsCommitsAndAudits) {
  OpenGeneration();
  v1::ReportStepsRequest request;
  *request.mutable_worker() = trainer_;
  request.set_job("j");
  request.set_generation(1);
  for (uint64_t step = 1; step <= 3; ++step) {
    const auto next = c_.NextStep("j", 1, 0, step);
    ASSERT_EQ(next->kind, StepForRank::kReady);
    EXPECT_EQ(next->deal.last(), step == 3);
    ASSERT_EQ(next->packs.size(), 1u);
    v1::StepReport* report = request.add_steps();
    report->set_generation(1);
    report->set_step(step);
    report->set_packs(1);
    report->set_packs_digest(PacksDigest({{step - 1, next->packs[0].index + 1}}));
  }
  EXPECT_EQ(c_.NextStep("j", 1, 0, 4)->kind, StepForRank::kEnd);
  ASSERT_TRUE(c_.ReportSteps(request, now_).ok());
  ASSERT_TRUE(c_.ReportSteps(request, now_).ok());
  EXPECT_EQ(c_.TakeDropped().size(), 3u);
  EXPECT_EQ(c_.Get("j")->committed_step(), 3u);

  v1::AuditRequest audit;
  audit.set_name("j");
  const auto number = c_.StartAudit(audit, now_);
  ASSERT_TRUE(number.ok());
  EXPECT_FALSE(c_.AuditResult(*number).has_value());
  Work();
  const auto result = c_.AuditResult(*number);
  ASSERT_TRUE(result.has_value() && result->ok());
  EXPECT_EQ((*result)->samples(), 16u);
  EXPECT_EQ((*result)->repeated_samples(), 0u);
  EXPECT_TRUE((*result)->plans_match());
  EXPECT_TRUE((*result)->epochs(0).complete());
  EXPECT_EQ((*result)->bad_steps_size(), 0);
}

TEST_F(CoordinatorTest, WrongPacksFailTheJob) {
  OpenGeneration();
  v1::ReportStepsRequest request;
  *request.mutable_worker() = trainer_;
  request.set_job("j");
  request.set_generation(1);
  request.add_steps()->set_step(1);
  EXPECT_TRUE(absl::IsDataLoss(c_.ReportSteps(request, now_)));
  EXPECT_EQ(c_.Get("j")->state(), v1::FAILED);
}

TEST_F(CoordinatorTest, FallsBackToTheOlderCheckpointWhenTheNewestIsDamaged) {
  OpenGeneration();
  v1::ReportStepsRequest steps;
  *steps.mutable_worker() = trainer_;
  steps.set_job("j");
  steps.set_generation(1);
  for (uint64_t step = 1; step <= 2; ++step) {
    const auto next = c_.NextStep("j", 1, 0, step);
    ASSERT_EQ(next->kind, StepForRank::kReady);
    v1::StepReport* report = steps.add_steps();
    report->set_generation(1);
    report->set_step(step);
    report->set_packs(1);
    report->set_packs_digest(PacksDigest({{step - 1, next->packs[0].index + 1}}));
  }
  ASSERT_TRUE(c_.ReportSteps(steps, now_).ok());
  for (uint64_t step = 1; step <= 2; ++step) {
    v1::CommitCheckpointRequest commit;
    *commit.mutable_worker() = trainer_;
    commit.set_job("j");
    commit.set_generation(1);
    commit.set_step(step);
    commit.set_path(absl::StrCat("/c/", step));
    ASSERT_TRUE(c_.CommitCheckpoint(commit, now_).ok());
  }
  // The only trainer dies with its weights.
  trainer_.set_incarnation(2);
  v1::RegisterRequest again;
  *again.mutable_worker() = trainer_;
  again.set_role(v1::TRAINER);
  ASSERT_TRUE(c_.Register(again, now_).ok());
  Report(v1::TrainerState::IDLE, 0);
  // Opens a generation; returns what it is to load.
  auto open = [&](uint64_t generation) {
    c_.Tick(now_);
    c_.Tick(now_);
    Report(v1::TrainerState::JOINED, generation);
    return c_.DirectiveFor(trainer_, now_)->trainer();
  };
  auto broken = [&](uint64_t generation, const std::string& bad) {
    v1::WorkerReport report;
    *report.mutable_worker() = trainer_;
    v1::TrainerState& state = *report.mutable_trainer();
    state.set_kind(v1::TrainerState::BROKEN);
    state.set_generation(generation);
    state.set_job("j");
    state.set_job_uid(c_.DirectiveFor(trainer_, now_)->trainer().job().job_uid());
    state.set_failure(bad + ": a file is cut");
    state.set_bad_checkpoint(bad);
    ASSERT_TRUE(c_.OnReport(report, now_).ok());
  };
  v1::TrainerDirective run = open(2);
  EXPECT_EQ(run.kind(), v1::TrainerDirective::RUN);
  EXPECT_EQ(run.checkpoint(), "/c/2");
  EXPECT_EQ(run.committed_step(), 2u);
  broken(2, "/c/2");
  run = open(3);
  EXPECT_EQ(run.kind(), v1::TrainerDirective::RUN);
  EXPECT_EQ(run.checkpoint(), "/c/1");
  EXPECT_EQ(run.committed_step(), 1u);
  EXPECT_EQ(c_.Get("j")->committed_step(), 1u);
  EXPECT_EQ(c_.ListCheckpoints("j")->checkpoints_size(), 1);
  {
    Coordinator replayed(CoordinatorOptions(), &store_);
    ASSERT_TRUE(replayed.Start(now_).ok());
    EXPECT_EQ(replayed.Get("j")->committed_step(), 1u);
    EXPECT_EQ(replayed.ListCheckpoints("j")->checkpoints_size(), 1);
  }
  broken(3, "/c/1");
  open(4);
  EXPECT_EQ(c_.Get("j")->state(), v1::FAILED);
  EXPECT_NE(c_.Get("j")->reason().find("/c/1"), std::string::npos) << c_.Get("j")->reason();
}

TEST_F(CoordinatorTest, HandsOutTheHeldOutPacksInOrder) {
  OpenGeneration();
  v1::PullEvaluationRequest request;
  *request.mutable_worker() = trainer_;
  request.set_job("j");
  request.set_generation(1);
  request.set_world_size(1);
  request.set_split(v1::SPLIT_VALIDATION);
  for (int round = 0; round < 2; ++round) {
    const auto evaluation = c_.OpenEvaluation(request, now_);
    ASSERT_TRUE(evaluation.ok());
    for (uint32_t index = 0; index < 3; ++index) {
      Work();
      Push();
      const auto pack = c_.NextEvaluationPack(*evaluation);
      ASSERT_TRUE(pack.ok());
      ASSERT_EQ(pack->kind, EvaluationPack::kReady) << index;
      EXPECT_EQ(pack->key.index, index);
      c_.EvaluationPackSent(*evaluation, pack->key);
    }
    EXPECT_EQ(c_.NextEvaluationPack(*evaluation)->kind, EvaluationPack::kEnd);
    c_.CloseEvaluation(*evaluation);
    EXPECT_EQ(c_.TakeDropped().size(), 3u);
  }
}

TEST_F(CoordinatorTest, AcceptsNothingAfterItsStoreFailed) {
  store_.fails = true;
  v1::JobMutation cancel;
  cancel.set_name("j");
  EXPECT_TRUE(absl::IsUnavailable(c_.Cancel(cancel, now_).status()));
  EXPECT_FALSE(c_.healthy());
  store_.fails = false;
  EXPECT_TRUE(absl::IsUnavailable(c_.Cancel(cancel, now_).status()));
}

// --- Probes

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
