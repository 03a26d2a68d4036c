// Packs from packers to trainers through a real server, and the steps that are committed.
#include <gtest/gtest.h>

#include <cmath>

#include "server/fake_workers.h"
#include "server/server_fixture.h"

namespace navit {
namespace {

TEST_F(ServerTest, FromSubmitToCommittedStepsAndOnAfterARestart) {
  v1::Job job;
  const grpc::Status submitted = Submit(Spec("r1"), &job);
  ASSERT_TRUE(submitted.ok()) << submitted.error_message();
  {
    FakePacker packer(server_.get(), "packer");
    FakeWorker trainer(server_.get(), "trainer", v1::TRAINER);
    const v1::TrainerDirective run = trainer.WaitForRun();
    EXPECT_EQ(run.source_rank(), -1);
    Puller puller(server_.get(), trainer, run, 1, 1 << 20);
    for (uint64_t step = 1; step <= 3; ++step) {
      uint64_t bytes = 0;
      v1::StepReport report = puller.ReadStep(step, run.generation(), &bytes);
      // A skipped step may have no finite loss.
      if (step == 2) report.set_loss(std::nanf(""));
      puller.Credit(bytes);
      EXPECT_TRUE(Report(server_.get(), trainer, report).ok());
      // The answer was lost: the same report again.
      EXPECT_TRUE(Report(server_.get(), trainer, report).ok());
    }
    EXPECT_EQ(Get("job").committed_step(), 3u);
    // A generation that is not the current one ends the stream.
    v1::TrainerDirective old = run;
    old.set_generation(run.generation() + 1);
    Puller stale(server_.get(), trainer, old, 1, 1 << 20);
    v1::PullReply reply;
    EXPECT_FALSE(stale.Read(&reply));
    EXPECT_EQ(stale.Finish().error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  }
  Restart();
  EXPECT_EQ(Get("job").committed_step(), 3u);
  FakePacker packer(server_.get(), "packer");
  FakeWorker trainer(server_.get(), "trainer", v1::TRAINER);
  const v1::TrainerDirective run = trainer.WaitForRun();
  // Nobody kept the weights and there is no checkpoint: from the beginning, with the same packs.
  EXPECT_EQ(run.committed_step(), 0u);
  Puller puller(server_.get(), trainer, run, 1, 1 << 20);
  uint64_t bytes = 0;
  EXPECT_TRUE(Report(server_.get(), trainer, puller.ReadStep(1, run.generation(), &bytes)).ok());
  EXPECT_EQ(Get("job").committed_step(), 1u);
}

TEST_F(ServerTest, FirstStepReachesATrainerThatWaitedForIt) {
  v1::Job job;
  ASSERT_TRUE(Submit(Spec("r1"), &job).ok());
  absl::Notification may_push;
  FakePacker packer(server_.get(), "packer", &may_push);
  FakeWorker trainer(server_.get(), "trainer", v1::TRAINER);
  const v1::TrainerDirective run = trainer.WaitForRun();
  Puller puller(server_.get(), trainer, run, 1, 1 << 20);
  // By the time that the step is complete, the puller's connection has fallen silent.
  may_push.Notify();
  uint64_t bytes = 0;
  puller.ReadStep(1, run.generation(), &bytes);
}

TEST_F(ServerTest, ConsumerThatStopsHoldsOneStep) {
  v1::Job job;
  ASSERT_TRUE(Submit(Spec("r1"), &job).ok());
  FakePacker packer(server_.get(), "packer");
  FakeWorker trainer(server_.get(), "trainer", v1::TRAINER);
  const v1::TrainerDirective run = trainer.WaitForRun();
  // No credit: the first step comes because nothing is outstanding, the second waits.
  Puller puller(server_.get(), trainer, run, 1, 0);
  uint64_t bytes = 0;
  puller.ReadStep(1, run.generation(), &bytes);
  const auto sent = [&] { return server_->Metric("navit_relay_bytes_total", "direction", "out"); };
  const double of_first = sent();
  EXPECT_GE(of_first, static_cast<double>(bytes));
  // The relay fills up to the horizon, and every stream has its turn after that.
  const auto held = [&](uint64_t step) {
    return [&run, step](Coordinator& core) {
      return core.NextStep("job", run.generation(), 0, step)->kind == StepForRank::kReady;
    };
  };
  server_->WaitUntil(held(CoordinatorOptions().lookahead_steps));
  server_->WaitUntil([](Coordinator&) { return true; });
  EXPECT_LT(server_->HeldBytes(), uint64_t{1} << 20);
  EXPECT_EQ(sent(), of_first);
  // Credit for one step brings one step.
  puller.Credit(bytes);
  puller.ReadStep(2, run.generation(), &bytes);
  const double of_second = sent();
  server_->WaitUntil([](Coordinator&) { return true; });
  EXPECT_EQ(sent(), of_second);
}

TEST_F(ServerTest, MalformedFrameEndsItsStreamAlone) {
  FakeWorker packer(server_.get(), "packer", v1::PACKER);
  for (const bool announced : {true, false}) {
    grpc::ClientContext context;
    SetDeadline(&context, kCall);
    auto push = server_->batches().Push(&context);
    v1::PushRequest message;
    if (announced) {
      *message.mutable_worker() = packer.id();
      push->Write(message);
    }
    // A frame whose header lies about its payload; as a first message it names no worker.
    message = MakePack("job", 0, 0, 1);
    message.mutable_header()->set_payload_bytes(3);
    push->Write(message);
    v1::PushReply reply;
    while (push->Read(&reply)) {
    }
    EXPECT_EQ(push->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  }
  v1::ListWorkersReply workers;
  Call call;
  ASSERT_TRUE(server_->jobs().ListWorkers(&call, {}, &workers).ok());
  EXPECT_EQ(workers.workers_size(), 1);
}

}  // namespace
}  // namespace navit
