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

TEST(TrainerLostDevice, EndsSoThatANewProcessTakesItsPlace) {
  FakeCoordinatorOptions job;
  job.world_size = 1;
  job.job = TinyJob(absl::StrCat(testing::TempDir(), "/lost"));
  job.job.mutable_spec()->mutable_workers()->mutable_trainers()->set_device(v1::TrainersSpec::CUDA);
  FakeCoordinator coordinator(job);
  const auto start = [&](Accelerator* accelerator, uint64_t incarnation) {
    TrainerOptions options;
    options.session.coordinator = coordinator.address();
    options.session.registration.mutable_worker()->set_name("a");
    options.session.registration.mutable_worker()->set_incarnation(incarnation);
    options.session.registration.set_role(v1::TRAINER);
    options.run.accelerator = accelerator;
    return *Trainer::Start(std::move(options));
  };
  Accelerator lost{MakeTestMachine(), &MakeDeviceTrainStep};
  lost.gpu.device = std::make_unique<LostDevice>(4);
  {
    const auto trainer = start(&lost, 1);
    const absl::Status ended = trainer->WaitUntilEnded();
    EXPECT_EQ(absl::StatusCode::kInternal, ended.code());
    EXPECT_TRUE(absl::StrContains(ended.message(), "fell off the bus")) << ended;
  }
  Accelerator replaced{MakeTestMachine(), &MakeDeviceTrainStep};
  const auto trainer = start(&replaced, 2);
  EXPECT_TRUE(coordinator.WaitUntilDone()) << coordinator.failure();
  EXPECT_EQ(8u, coordinator.history().size());
}

}  // namespace
}  // namespace navit
