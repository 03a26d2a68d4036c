#include "worker/protocol/trainer_protocol.h"

#include <gtest/gtest.h>

namespace navit {
namespace {

using Todo = TrainerProtocol::Todo;

v1::Directive Directive(uint64_t version, v1::TrainerDirective::Kind kind, uint64_t generation,
                        uint64_t uid = 5) {
  v1::Directive d;
  d.set_coordinator_incarnation(1);
  d.set_version(version);
  d.mutable_trainer()->set_kind(kind);
  if (kind == v1::TrainerDirective::RELEASE) return d;
  d.mutable_trainer()->mutable_job()->set_job("j");
  d.mutable_trainer()->mutable_job()->set_job_uid(uid);
  d.mutable_trainer()->set_generation(generation);
  d.mutable_trainer()->add_members("t0");
  d.mutable_trainer()->add_members("t1");
  d.mutable_trainer()->set_source_rank(-1);
  return d;
}

v1::StepReport Report(uint64_t step) {
  v1::StepReport report;
  report.set_step(step);
  return report;
}

// A trainer that runs generation 1 and has applied one step.
void RunOneStep(TrainerProtocol* p) {
  p->OnDirective(Directive(1, v1::TrainerDirective::PREPARE, 1));
  EXPECT_EQ(p->State().kind(), v1::TrainerState::JOINED);
  EXPECT_FALSE(p->State().has_state());
  p->OnDirective(Directive(2, v1::TrainerDirective::RUN, 1));
  ASSERT_EQ(p->todo(), Todo::kStartRun);
  p->OnRunStarted();
  EXPECT_FALSE(p->MayStartStep(1));
  p->OnLoading();
  p->OnLoaded(0);
  ASSERT_TRUE(p->MayStartStep(1));
  ASSERT_TRUE(p->MayApply(1));
  p->OnStepApplied(Report(1));
}

TEST(TrainerProtocol, PromisesOnlyOnceTheOldRunIsLeft) {
  TrainerProtocol p;
  RunOneStep(&p);
  p.OnDirective(Directive(3, v1::TrainerDirective::PREPARE, 2));
  EXPECT_EQ(p.todo(), Todo::kStopRun);
  EXPECT_EQ(p.State().kind(), v1::TrainerState::RUNNING);
  EXPECT_FALSE(p.MayApply(2));
  p.OnRunEnded(TrainerProtocol::RunEnd::kBroken, "aborted");
  const v1::TrainerState state = p.State();
  EXPECT_EQ(state.kind(), v1::TrainerState::JOINED);
  EXPECT_EQ(state.generation(), 2u);
  EXPECT_EQ(state.applied_step(), 1u);
  EXPECT_EQ(state.state_generation(), 1u);
  EXPECT_EQ(state.unacknowledged_size(), 1);
}

TEST(TrainerProtocol, IgnoresDirectivesThatWereOvertaken) {
  TrainerProtocol p;
  RunOneStep(&p);
  p.OnDirective(Directive(1, v1::TrainerDirective::RELEASE, 0));
  EXPECT_EQ(p.todo(), Todo::kNothing);
  p.OnDirective(Directive(3, v1::TrainerDirective::RELEASE, 0));
  EXPECT_EQ(p.todo(), Todo::kStopRun);
  p.OnRunEnded(TrainerProtocol::RunEnd::kBroken, "released");
  EXPECT_EQ(p.todo(), Todo::kDropState);
  p.OnStateDropped();
  EXPECT_EQ(p.State().kind(), v1::TrainerState::IDLE);
}

TEST(TrainerProtocol, DropsTheStateOfAnEarlierJobOfTheName) {
  TrainerProtocol p;
  RunOneStep(&p);
  p.OnRunEnded(TrainerProtocol::RunEnd::kBroken, "peer died");
  EXPECT_EQ(p.State().kind(), v1::TrainerState::BROKEN);
  p.OnDirective(Directive(3, v1::TrainerDirective::PREPARE, 9, 6));
  EXPECT_EQ(p.todo(), Todo::kDropState);
  p.OnStateDropped();
  EXPECT_EQ(p.State().kind(), v1::TrainerState::JOINED);
  EXPECT_FALSE(p.State().has_state());
  EXPECT_EQ(p.State().job_uid(), 6u);
}

TEST(TrainerProtocol, StopsExactlyAfterTheNamedStep) {
  TrainerProtocol p;
  RunOneStep(&p);
  v1::Directive stop = Directive(3, v1::TrainerDirective::RUN, 1);
  stop.mutable_trainer()->set_stop_after_step(2);
  p.OnDirective(stop);
  EXPECT_FALSE(p.ShouldStop());
  EXPECT_TRUE(p.MayStartStep(2));
  p.OnStepApplied(Report(2));
  EXPECT_TRUE(p.ShouldStop());
  EXPECT_FALSE(p.MayStartStep(3));
  // Heard too late: the rank is past it and goes on; the coordinator names a later one.
  stop.set_version(4);
  stop.mutable_trainer()->set_stop_after_step(1);
  p.OnDirective(stop);
  EXPECT_FALSE(p.ShouldStop());
  EXPECT_TRUE(p.MayStartStep(3));
}

TEST(TrainerProtocol, KeepsReportsUntilTheyAreDurable) {
  TrainerProtocol::Options options;
  options.max_unacknowledged = 2;
  TrainerProtocol p(options);
  RunOneStep(&p);
  p.OnStepApplied(Report(2));
  EXPECT_FALSE(p.MayStartStep(3));
  p.OnReportsAcknowledged(1, 1);
  EXPECT_TRUE(p.MayStartStep(3));
  EXPECT_EQ(p.unacknowledged().size(), 1u);
  v1::Directive same = Directive(2, v1::TrainerDirective::RUN, 1);
  same.mutable_trainer()->set_durable_step(2);
  p.OnDirective(same);
  EXPECT_TRUE(p.unacknowledged().empty());
}

TEST(TrainerProtocol, HasNoStateWhileItLoads) {
  TrainerProtocol p;
  RunOneStep(&p);
  p.OnRunEnded(TrainerProtocol::RunEnd::kBroken, "x");
  p.OnDirective(Directive(3, v1::TrainerDirective::PREPARE, 2));
  p.OnDirective(Directive(4, v1::TrainerDirective::RUN, 2));
  p.OnRunStarted();
  EXPECT_TRUE(p.State().has_state());
  EXPECT_EQ(p.State().state_generation(), 1u);
  p.OnLoading();
  p.OnRunEnded(TrainerProtocol::RunEnd::kBroken, "source died");
  EXPECT_FALSE(p.State().has_state());
}

}  // namespace
}  // namespace navit
