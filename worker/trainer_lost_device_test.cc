// A trainer whose GPU is lost in mid-run.
#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "worker/fake_coordinator.h"
#include "worker/model/device/embed.h"
#include "worker/model/device/test_machine.h"
#include "worker/model/device/train_step.h"
#include "worker/model/device/twin_device.h"
#include "worker/tiny_job.h"
#include "worker/trainer.h"

namespace navit {
namespace {

// After so many steps every question for its memory fails.
class LostDevice : public TwinDevice {
 public:
  explicit LostDevice(int questions) : questions_(questions) {}
  absl::StatusOr<Memory> memory() const override {
    if (--questions_ < 0) return absl::InternalError("cudaMemGetInfo: it fell off the bus");
    return TwinDevice::memory();
  }

 private:
  mutable std::atomic<int> questions_;
};

// Of which nothing works once it is broken.
class BreakingDevice : public TwinDevice {
 public:
  void Break() { broken_ = true; }
  absl::Status Synchronize(DeviceStream stream) override {
    return broken_ ? Broken() : TwinDevice::Synchronize(stream);
  }
  absl::StatusOr<Memory> memory() const override {
    if (broken_) return Broken();
    return TwinDevice::memory();
  }

 private:
  static absl::Status Broken() { return absl::InternalError("it fell off the bus"); }
  std::atomic<bool> broken_{false};
};

class TrainerLostDevice : public testing::Test {
 protected:
  TrainerLostDevice() {
    job_.world_size = 1;
    job_.job = TinyJob(absl::StrCat(testing::TempDir(), "/",
                                    testing::UnitTest::GetInstance()->current_test_info()->name()));
    v1::JobSpec& spec = *job_.job.mutable_spec();
    spec.mutable_workers()->mutable_trainers()->set_device(v1::TrainersSpec::CUDA);
  }

  using OnPhase = decltype(TrainingRunOptions::on_phase);
  std::unique_ptr<Trainer> Start(const FakeCoordinator& coordinator, Accelerator* accelerator,
                                 uint64_t incarnation, OnPhase on_phase = {}) {
    TrainerOptions options;
    options.session.coordinator = coordinator.address();
    options.session.registration.mutable_worker()->set_name("a");
    options.session.registration.mutable_worker()->set_incarnation(incarnation);
    options.session.registration.set_role(v1::TRAINER);
    options.run.accelerator = accelerator;
    options.run.on_phase = std::move(on_phase);
    return *Trainer::Start(std::move(options));
  }

  // A trainer on `device` ends, and another one completes the job.
  void ReplaceTheTrainerOf(std::unique_ptr<Device> device, OnPhase on_phase = {}) {
    FakeCoordinator coordinator(job_);
    Accelerator lost{MakeTestMachine(), &MakeDeviceTrainStep, &MakeDeviceEmbedder};
    lost.gpu.device = std::move(device);
    {
      const auto trainer = Start(coordinator, &lost, 1, std::move(on_phase));
      const absl::Status ended = trainer->WaitUntilEnded();
      EXPECT_EQ(absl::StatusCode::kInternal, ended.code());
      EXPECT_TRUE(absl::StrContains(ended.message(), "fell off the bus")) << ended;
    }
    Accelerator replaced{MakeTestMachine(), &MakeDeviceTrainStep, &MakeDeviceEmbedder};
    const auto trainer = Start(coordinator, &replaced, 2);
    EXPECT_TRUE(coordinator.WaitUntilDone()) << coordinator.failure();
    EXPECT_EQ(8u, coordinator.history().size());
  }

  FakeCoordinatorOptions job_;
};

TEST_F(TrainerLostDevice, EndsSoThatANewProcessTakesItsPlace) {
  ReplaceTheTrainerOf(std::make_unique<LostDevice>(4));
}

TEST_F(TrainerLostDevice, InAnEvaluationToo) {
  job_.job.mutable_spec()->mutable_evaluation()->set_every_steps(5);
  auto device = std::make_unique<BreakingDevice>();
  ReplaceTheTrainerOf(std::move(device), [breaking = device.get()](v1::Phase phase, uint64_t step) {
    if (phase == v1::PHASE_EVALUATE && step == 5) breaking->Break();
  });
}

}  // namespace
}  // namespace navit
