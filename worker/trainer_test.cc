// Whole trainers as threads of this process, with real connections between them and to a
// coordinator of the test's own.
#include "worker/trainer.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "common/files.h"
#include "worker/checkpoint.h"
#include "worker/fake_coordinator.h"
#include "worker/tiny_job.h"

namespace navit {
namespace {

class TrainerTest : public testing::Test {
 protected:
  TrainerTest() {
    options_.job = TinyJob(absl::StrCat(
        testing::TempDir(), "/", testing::UnitTest::GetInstance()->current_test_info()->name()));
  }
  ~TrainerTest() override { SetFileFaultHookForTest(nullptr); }

  void StartCoordinator() { coordinator_ = std::make_unique<FakeCoordinator>(options_); }

  std::unique_ptr<Trainer> StartTrainer(
      const std::string& name, std::function<void(v1::Phase, uint64_t)> on_phase = nullptr) {
    TrainerOptions options;
    options.session.coordinator = coordinator_->address();
    options.session.registration.mutable_worker()->set_name(name);
    options.session.registration.mutable_worker()->set_incarnation(++incarnation_);
    options.session.registration.set_role(v1::TRAINER);
    options.run.compare_every_steps = 3;
    options.run.on_phase = std::move(on_phase);
    auto trainer = Trainer::Start(std::move(options));
    EXPECT_TRUE(trainer.ok()) << trainer.status();
    return *std::move(trainer);
  }

  // What must not differ between runs, bit for bit.
  std::vector<std::string> Curve() const {
    std::vector<std::string> curve;
    for (v1::StepReport step : coordinator_->history()) {
      EXPECT_TRUE(std::isfinite(step.loss()));
      EXPECT_FALSE(step.skipped());
      step.clear_generation();
      step.clear_seconds();
      curve.push_back(step.SerializeAsString());
    }
    return curve;
  }

  // The curve of two ranks that nothing disturbs.
  std::vector<std::string> Undisturbed() {
    StartCoordinator();
    auto a = StartTrainer("a");
    auto b = StartTrainer("b");
    EXPECT_TRUE(coordinator_->WaitUntilDone()) << coordinator_->failure();
    return Curve();
  }

  FakeCoordinatorOptions options_;
  std::unique_ptr<FakeCoordinator> coordinator_;
  uint64_t incarnation_ = 0;
};

TEST_F(TrainerTest, TwoRanksTrainEvaluateAndLeaveACheckpoint) {
  const std::vector<std::string> curve = Undisturbed();
  EXPECT_EQ(curve.size(), 8);
  EXPECT_EQ(coordinator_->generation(), 1);
  const auto checkpoints = coordinator_->checkpoints();
  ASSERT_EQ(checkpoints.count(8), 1);
  EXPECT_EQ(ReadCheckpointManifest(checkpoints.at(8))->next_ordinal(), 32);
  ASSERT_EQ(coordinator_->events().size(), 1);
  const v1::Scores scores = coordinator_->events()[0].scores();
  ASSERT_EQ(scores.scores_size(), 12);
  EXPECT_EQ(scores.scores(0).metric(), "heldout/image_to_text/r@1");
  EXPECT_EQ(scores.scores(3).metric(), "heldout/image_to_text/r@1/chance");
  // 5 packs of 4 pairs, all captions different.
  EXPECT_NEAR(scores.scores(3).value(), 1.0 / 20, 1e-9);
  EXPECT_EQ(Undisturbed(), curve);
}

TEST_F(TrainerTest, ARankKilledInMidStepIsReplacedAndTheCurveIsTheSame) {
  const std::vector<std::string> curve = Undisturbed();
  for (v1::Phase phase : {v1::PHASE_FORWARD, v1::PHASE_BACKWARD, v1::PHASE_OPTIMIZER}) {
    StartCoordinator();
    Trainer* victim = nullptr;
    absl::Notification started, killed;
    std::atomic<bool> once{false};
    auto a = StartTrainer("a");
    auto b = StartTrainer("b", [&](v1::Phase now, uint64_t step) {
      if (now != phase || step != 5 || once.exchange(true)) return;
      started.WaitForNotification();
      victim->CutOff();
      killed.Notify();
    });
    victim = b.get();
    started.Notify();
    killed.WaitForNotification();
    b.reset();
    auto c = StartTrainer("c");
    ASSERT_TRUE(coordinator_->WaitUntilDone()) << coordinator_->failure();
    EXPECT_EQ(Curve(), curve) << v1::Phase_Name(phase);
    EXPECT_GT(coordinator_->generation(), 1);
  }
}

TEST_F(TrainerTest, AllRanksGoneGoOnFromTheCheckpoint) {
  const std::vector<std::string> curve = Undisturbed();
  StartCoordinator();
  {
    std::atomic<int> stalled{0};
    absl::Notification all;
    // Both stop in step 7; the checkpoint of step 4 is recorded by then or by the time that its
    // writer is joined.
    const auto stall = [&](v1::Phase phase, uint64_t step) {
      if (phase == v1::PHASE_DATA_WAIT && step == 7 && ++stalled == 2) all.Notify();
    };
    auto a = StartTrainer("a", stall);
    auto b = StartTrainer("b", stall);
    coordinator_->WaitForStep(5);
    all.WaitForNotification();
  }
  auto c = StartTrainer("c");
  auto d = StartTrainer("d");
  ASSERT_TRUE(coordinator_->WaitUntilDone()) << coordinator_->failure();
  EXPECT_EQ(Curve(), curve);
}

TEST_F(TrainerTest, SurvivesARestartOfTheCoordinator) {
  const std::vector<std::string> curve = Undisturbed();
  StartCoordinator();
  auto a = StartTrainer("a");
  auto b = StartTrainer("b");
  coordinator_->WaitForStep(3);
  coordinator_->Restart();
  ASSERT_TRUE(coordinator_->WaitUntilDone()) << coordinator_->failure();
  EXPECT_EQ(Curve(), curve);
}

TEST_F(TrainerTest, StopsAfterTheNamedStepWithACheckpoint) {
  options_.stop_after_step = 6;
  StartCoordinator();
  auto a = StartTrainer("a");
  auto b = StartTrainer("b");
  ASSERT_TRUE(coordinator_->WaitUntilDone()) << coordinator_->failure();
  EXPECT_EQ(coordinator_->history().size(), 6);
  EXPECT_EQ(coordinator_->checkpoints().count(6), 1);
}

TEST_F(TrainerTest, RefusesACheckpointOfAnotherIdentityByName) {
  options_.world_size = 1;
  options_.stop_after_step = 2;
  StartCoordinator();
  auto a = StartTrainer("a");
  ASSERT_TRUE(coordinator_->WaitUntilDone());
  options_.checkpoint = coordinator_->checkpoints().at(2);
  options_.checkpoint_step = 2;
  options_.job.mutable_spec()->mutable_token_drop()->set_mean(0.25);
  StartCoordinator();
  auto b = StartTrainer("b");
  EXPECT_FALSE(coordinator_->WaitUntilDone());
  EXPECT_TRUE(absl::StrContains(coordinator_->failure(), "token_drop.mean"))
      << coordinator_->failure();
}

TEST_F(TrainerTest, AFullDiskIsToldAndTheCheckpointMadeLater) {
  options_.world_size = 1;
  std::atomic<int> faults{0};
  SetFileFaultHookForTest([&](absl::string_view operation, absl::string_view path) {
    const bool hit = operation == "write" && absl::StrContains(path, "step-00000004");
    if (hit) ++faults;
    return hit ? ENOSPC : 0;
  });
  StartCoordinator();
  auto a = StartTrainer("a");
  ASSERT_TRUE(coordinator_->WaitUntilDone()) << coordinator_->failure();
  EXPECT_GT(faults, 0);
  EXPECT_EQ(coordinator_->history().size(), 8);
  EXPECT_EQ(coordinator_->checkpoints().count(4), 0);
  EXPECT_EQ(coordinator_->checkpoints().count(8), 1);
  bool told = false;
  for (const v1::ReportEventRequest& event : coordinator_->events()) {
    told |= event.step() == 4 && !event.checkpoint_failure().empty();
  }
  EXPECT_TRUE(told);
}

TEST_F(TrainerTest, ACorruptPackBreaksTheGenerationAndNoMore) {
  const std::vector<std::string> curve = Undisturbed();
  options_.corrupt_step = 3;
  StartCoordinator();
  auto a = StartTrainer("a");
  auto b = StartTrainer("b");
  ASSERT_TRUE(coordinator_->WaitUntilDone()) << coordinator_->failure();
  EXPECT_EQ(Curve(), curve);
  EXPECT_GT(coordinator_->generation(), 1);
}

// Sum over the series of `name` of a registry: a counter's value, a histogram's sum.
double Total(const prometheus::Registry& registry, const std::string& name) {
  double total = 0;
  for (const prometheus::MetricFamily& family : registry.Collect()) {
    if (family.name != name) continue;
    for (const prometheus::ClientMetric& metric : family.metric) {
      total += family.type == prometheus::MetricType::Histogram ? metric.histogram.sample_sum
                                                                : metric.counter.value;
    }
  }
  return total;
}

TEST_F(TrainerTest, ThePhasesOfAStepSumToItsTime) {
  options_.world_size = 1;
  StartCoordinator();
  Trainer* trainer = nullptr;
  absl::Notification started, looked;
  double phases = 0, steps = 0, time = 0;
  auto a = StartTrainer("a", [&](v1::Phase now, uint64_t step) {
    if (now != v1::PHASE_DATA_WAIT || step != 6 || looked.HasBeenNotified()) return;
    started.WaitForNotification();
    phases = Total(*trainer->metrics(), "navit_step_phase_seconds_total");
    steps = Total(*trainer->metrics(), "navit_step_duration_seconds");
    time = Total(*trainer->metrics(), "navit_trainer_time_seconds_total");
    looked.Notify();
  });
  trainer = a.get();
  started.Notify();
  ASSERT_TRUE(coordinator_->WaitUntilDone()) << coordinator_->failure();
  ASSERT_TRUE(looked.HasBeenNotified());
  EXPECT_GT(steps, 0);
  // Apart from the few instructions between an update and the next step.
  EXPECT_NEAR(phases / steps, 1, 0.2) << phases << " s in phases, " << steps << " s in steps";
  EXPECT_GE(time, phases);
}

TEST_F(TrainerTest, ALossThatStaysAtChanceIsSaidInWordsAndCounted) {
  options_.world_size = 1;
  options_.steps = 60;
  // A learning rate at which the towers lose all that tells their inputs apart.
  options_.job.mutable_spec()->mutable_optimizer()->set_lr(10);
  StartCoordinator();
  auto a = StartTrainer("a");
  ASSERT_TRUE(coordinator_->WaitUntilDone()) << coordinator_->failure();
  std::vector<std::string> warnings;
  for (const v1::ReportEventRequest& event : coordinator_->events()) {
    if (event.event_case() == v1::ReportEventRequest::kWarning) warnings.push_back(event.warning());
  }
  ASSERT_EQ(warnings.size(), 1);
  for (const auto* part : {"within 1 % of ln N for 50 steps", "Embedding spread",
                           "largest attention logit", "largest gradient norm"}) {
    EXPECT_TRUE(absl::StrContains(warnings[0], part)) << warnings[0];
  }
  EXPECT_EQ(Total(*a->metrics(), "navit_loss_stuck_total"), 1);
}

TEST_F(TrainerTest, DrainFinishesTheStepAndEnds) {
  options_.world_size = 1;
  options_.steps = 1000000;
  StartCoordinator();
  auto a = StartTrainer("a");
  coordinator_->WaitForStep(3);
  a->Drain();
  EXPECT_TRUE(a->WaitUntilEnded().ok());
  // Nobody else had the weights: they are on the disk.
  EXPECT_GE(coordinator_->checkpoints().rbegin()->first, 3);
}

TEST_F(TrainerTest, DrainEndsWithoutACoordinator) {
  StartCoordinator();
  auto a = StartTrainer("a");
  coordinator_.reset();
  a->Drain();
  EXPECT_TRUE(a->WaitUntilEnded().ok());
}

}  // namespace
}  // namespace navit
