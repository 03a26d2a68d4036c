// Budgets of time, changes of a job's spec, workers that are drained by hand.
#include <gtest/gtest.h>

#include "server/core/coordinator_fixture.h"

namespace navit {
namespace {

class HourLongJobTest : public CoordinatorTest {
 protected:
  HourLongJobTest() { submit_.mutable_spec()->mutable_budgets()->set_max_hours(1); }
};

TEST_F(HourLongJobTest, FailsOnceItHasHeldItsTrainersForLonger) {
  OpenGeneration();
  for (uint64_t step = 1; step <= 2; ++step) {
    EXPECT_EQ(c_.Get("j")->state(), v1::RUNNING);
    now_.steady += 40 * 60;
    v1::ReportStepsRequest request;
    *request.mutable_worker() = trainer_;
    request.set_job("j");
    request.set_generation(1);
    AddStep(step, &request);
    ASSERT_TRUE(c_.ReportSteps(request, now_).ok());
  }
  EXPECT_EQ(c_.Get("j")->state(), v1::FAILED);
  EXPECT_NE(c_.Get("j")->reason().find("budgets.max_hours"), std::string::npos);
  EXPECT_EQ(c_.counters().jobs_finished.at(EndCause::kTime), 1u);
  Coordinator replayed(CoordinatorOptions(), &store_);
  ASSERT_TRUE(replayed.Start(now_).ok());
  EXPECT_DOUBLE_EQ(replayed.Get("j")->held_seconds(), 80 * 60);
}

TEST_F(CoordinatorTest, ARunningJobReopensUnderAChangedSpecAndItsUpdatesCountOnce) {
  OpenGeneration();
  v1::UpdateRequest request;
  request.set_request_id("r");
  request.set_name("j");
  v1::JobSpec spec = c_.Get("j")->spec();
  spec.mutable_checkpoints()->set_every_steps(7);
  ASSERT_TRUE(c_.Update(request, spec, now_).ok());
  const uint64_t stop = c_.DirectiveFor(trainer_, now_)->trainer().stop_after_step();
  EXPECT_GT(stop, 0u);
  EXPECT_TRUE(c_.DirectiveFor(trainer_, now_)->trainer().checkpoint_on_stop());
  // Repeated, as if its answer was lost: the first one counts.
  spec.mutable_checkpoints()->set_every_steps(9);
  EXPECT_EQ(c_.Update(request, spec, now_)->spec().checkpoints().every_steps(), 7u);
  Report(v1::TrainerState::STOPPED, 1);
  c_.Tick(now_);
  EXPECT_EQ(c_.Get("j")->reason(), "stopped for the job's changed spec");
  Report(v1::TrainerState::JOINED, 2);
  c_.Tick(now_);
  EXPECT_EQ(c_.Get("j")->generation(), 2u);
  EXPECT_EQ(c_.DirectiveFor(trainer_, now_)->trainer().stop_after_step(), 0u);
  EXPECT_EQ(c_.DirectiveFor(trainer_, now_)->trainer().job().spec().checkpoints().every_steps(),
            7u);
  Coordinator replayed(CoordinatorOptions(), &store_);
  ASSERT_TRUE(replayed.Start(now_).ok());
  EXPECT_EQ(replayed.Get("j")->spec().checkpoints().every_steps(), 7u);
}

TEST_F(CoordinatorTest, ADrainedWorkerGetsNoWorkUntilThatIsUndone) {
  EXPECT_TRUE(absl::IsNotFound(c_.SetDrained("nobody", true, now_)));
  OpenGeneration();
  ASSERT_TRUE(c_.SetDrained("p", true, now_).ok());
  ASSERT_TRUE(c_.SetDrained("p", true, now_).ok());
  EXPECT_EQ(c_.LeaseWork(packer_, now_)->lease_epoch(), 0u);
  ASSERT_TRUE(c_.SetDrained("t", true, now_).ok());
  c_.Tick(now_);
  EXPECT_GT(c_.DirectiveFor(trainer_, now_)->trainer().stop_after_step(), 0u);
  Report(v1::TrainerState::STOPPED, 1);
  c_.Tick(now_);
  EXPECT_EQ(c_.Get("j")->reason(), "stopped for a member that drains");
  const v1::ListWorkersReply workers = c_.ListWorkers(now_);
  for (const auto& worker : workers.workers()) EXPECT_EQ(worker.state(), "draining");
  // The mark outlives the process and the coordinator.
  Coordinator replayed(CoordinatorOptions(), &store_);
  ASSERT_TRUE(replayed.Start(now_).ok());
  v1::RegisterRequest request;
  *request.mutable_worker() = trainer_;
  request.mutable_worker()->set_incarnation(9);
  request.set_role(v1::TRAINER);
  ASSERT_TRUE(replayed.Register(request, now_).ok());
  EXPECT_EQ(replayed.ListWorkers(now_).workers(0).state(), "draining");
  ASSERT_TRUE(replayed.SetDrained("t", false, now_).ok());
  EXPECT_EQ(replayed.ListWorkers(now_).workers(0).state(), "idle");
}

}  // namespace
}  // namespace navit
