// The coordinator from job to evaluation and audit.
#include "server/core/coordinator.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "common/packs_digest.h"
#include "server/core/coordinator_fixture.h"

namespace navit {
namespace {

TEST_F(CoordinatorTest, DealsCommitsAndAudits) {
  OpenGeneration();
  v1::ReportStepsRequest request;
  *request.mutable_worker() = trainer_;
  request.set_job("j");
  request.set_generation(1);
  for (uint64_t step = 1; step <= 3; ++step) {
    EXPECT_EQ(c_.NextStep("j", 1, 0, step)->deal.last(), step == 3);
    AddStep(step, &request);
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
  EXPECT_EQ(c_.counters().jobs_finished.at(EndCause::kMismatch), 1u);
}

TEST_F(CoordinatorTest, FallsBackToTheOlderCheckpointWhenTheNewestIsDamaged) {
  OpenGeneration();
  v1::ReportStepsRequest steps;
  *steps.mutable_worker() = trainer_;
  steps.set_job("j");
  steps.set_generation(1);
  for (uint64_t step = 1; step <= 2; ++step) AddStep(step, &steps);
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

class EvaluationJobTest : public CoordinatorTest {
 protected:
  EvaluationJobTest() { submit_.mutable_spec()->set_kind("EvaluationJob"); }
};

TEST_F(EvaluationJobTest, SucceedsWithItsScoresAndTrainsNothing) {
  StartGeneration();
  for (const auto& [epoch, window] : leased_) ADD_FAILURE() << "window " << window.window();
  v1::ReportEventRequest event;
  *event.mutable_worker() = trainer_;
  event.set_job("j");
  event.set_generation(1);
  event.set_step(60);
  event.mutable_scores()->add_scores()->set_metric("heldout/zero_shot/top@1");
  ASSERT_TRUE(c_.ReportEvent(event, now_).ok());
  EXPECT_EQ(c_.Get("j")->state(), v1::RUNNING);
  Report(v1::TrainerState::STOPPED, 1);
  c_.Tick(now_);
  EXPECT_EQ(c_.Get("j")->state(), v1::SUCCEEDED);
  EXPECT_EQ(c_.Get("j")->scores().scores_size(), 1);
}

TEST_F(EvaluationJobTest, DoesNotSucceedWithoutScores) {
  StartGeneration();
  Report(v1::TrainerState::STOPPED, 1);
  c_.Tick(now_);
  EXPECT_EQ(c_.Get("j")->state(), v1::RECOVERING);
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

TEST_F(CoordinatorTest, AJobThatTheStoreDoesNotTakeIsRefusedAndNothingElseChanges) {
  submit_.mutable_spec()->set_name("large");
  store_.refuses = true;
  EXPECT_TRUE(absl::IsInvalidArgument(c_.Submit(submit_, now_).status()));
  EXPECT_TRUE(c_.healthy());
  EXPECT_TRUE(absl::IsNotFound(c_.Get("large").status()));
  EXPECT_EQ(c_.JobRevision("large"), 0u);
  store_.refuses = false;
  EXPECT_TRUE(c_.Submit(submit_, now_).ok());
}

}  // namespace
}  // namespace navit
