// Jobs get trainers of the kind that they ask for.
#include <gtest/gtest.h>

#include <string>

#include "server/core/coordinator_fixture.h"

namespace navit {
namespace {

class CoordinatorDeviceTest : public CoordinatorTest {
 protected:
  // A trainer on a GPU.
  void AddGpuTrainer() {
    v1::RegisterRequest request;
    *request.mutable_worker() = gpu_;
    request.set_role(v1::TRAINER);
    request.set_device("NVIDIA H100 80GB HBM3");
    ASSERT_TRUE(c_.Register(request, now_).ok());
    v1::WorkerReport report;
    *report.mutable_worker() = gpu_;
    report.mutable_trainer()->set_kind(v1::TrainerState::IDLE);
    ASSERT_TRUE(c_.OnReport(report, now_).ok());
  }
  // What a trainer is told to prepare or to run.
  std::string JobOf(const v1::WorkerId& worker) {
    return c_.DirectiveFor(worker, now_)->trainer().job().job();
  }
  void TickTwice() {
    c_.Tick(now_);
    c_.Tick(now_);
  }

  const v1::WorkerId gpu_ = [] {
    v1::WorkerId id;
    id.set_name("g");
    id.set_incarnation(1);
    return id;
  }();
};

class CudaJobTest : public CoordinatorDeviceTest {
 protected:
  CudaJobTest() {
    submit_.mutable_spec()->mutable_workers()->mutable_trainers()->set_device(
        v1::TrainersSpec::CUDA);
  }
};

TEST_F(CudaJobTest, WaitsForATrainerOnAGpuAndTakesNoOther) {
  Work();
  TickTwice();
  EXPECT_EQ(JobOf(trainer_), "");
  EXPECT_EQ(c_.Get("j")->state(), v1::STARTING);
  AddGpuTrainer();
  TickTwice();
  EXPECT_EQ(JobOf(trainer_), "");
  EXPECT_EQ(JobOf(gpu_), "j");
}

TEST_F(CoordinatorDeviceTest, AJobOfCpusTakesNoGpu) {
  AddGpuTrainer();
  // Its only trainer leaves before it starts.
  ASSERT_TRUE(c_.SetDrained("t", true, now_).ok());
  Work();
  TickTwice();
  EXPECT_EQ(JobOf(gpu_), "");
  EXPECT_EQ(c_.Get("j")->state(), v1::STARTING);
}

TEST_F(CoordinatorDeviceTest, AChangedDeviceMovesARunningJob) {
  AddGpuTrainer();
  OpenGeneration();
  EXPECT_EQ(JobOf(trainer_), "j");
  v1::UpdateRequest request;
  request.set_request_id("r");
  request.set_name("j");
  v1::JobSpec spec = c_.Get("j")->spec();
  spec.mutable_workers()->mutable_trainers()->set_device(v1::TrainersSpec::CUDA);
  ASSERT_TRUE(c_.Update(request, spec, now_).ok());
  EXPECT_TRUE(c_.DirectiveFor(trainer_, now_)->trainer().checkpoint_on_stop());
  Report(v1::TrainerState::STOPPED, 1);
  TickTwice();
  EXPECT_EQ(JobOf(trainer_), "");
  EXPECT_EQ(JobOf(gpu_), "j");
}

}  // namespace
}  // namespace navit
