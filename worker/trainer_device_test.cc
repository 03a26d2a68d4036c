// Trainers of a job whose device is cuda, on the host twin or on a GPU, against those on the CPU.
#include <cmath>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "common/job_kind.h"
#include "gtest/gtest.h"
#include "worker/checkpoint.h"
#include "worker/device/peak_flops.h"
#include "worker/fake_coordinator.h"
#include "worker/model/device/embed.h"
#include "worker/model/device/test_machine.h"
#include "worker/model/device/train_step.h"
#include "worker/tiny_job.h"
#include "worker/trainer.h"

namespace navit {
namespace {

class TrainerOnDeviceTest : public MachineTest {
 protected:
  TrainerOnDeviceTest() {
    options_.world_size = 1;
    options_.job = TinyJob(absl::StrCat(
        testing::TempDir(), "/", testing::UnitTest::GetInstance()->current_test_info()->name()));
  }
  void SetUp() override {
    MachineTest::SetUp();
    if (IsSkipped()) return;
    accelerator_.gpu = MakeTestMachine();
    accelerator_.make_train_step = &MakeDeviceTrainStep;
    accelerator_.make_embedder = &MakeDeviceEmbedder;
  }

  struct Trained {
    bool done = false;
    std::string failure;
    uint64_t generation = 0;
    std::vector<float> losses;
    // The last checkpoint, and what is in it.
    std::string checkpoint;
    std::vector<float> parameters;
    // Whose packs were not sent to the device while the step before computed.
    std::set<uint64_t> late_steps;
    // Names of the series before the last step.
    std::set<std::string> series;
    // Of the first and the last evaluation, by metric.
    std::map<std::string, double> first_scores, scores;
  };

  Trained Train(v1::TrainersSpec::Device device, Accelerator* accelerator) {
    v1::JobSpec& spec = *options_.job.mutable_spec();
    spec.mutable_workers()->mutable_trainers()->set_device(device);
    FakeCoordinator coordinator(options_);
    TrainerOptions options;
    options.session.coordinator = coordinator.address();
    options.session.registration.mutable_worker()->set_name("a");
    options.session.registration.mutable_worker()->set_incarnation(++incarnation_);
    options.session.registration.set_role(v1::TRAINER);
    options.run.compare_every_steps = 3;
    options.run.accelerator = accelerator;
    Trained trained;
    std::map<uint64_t, int> data_waits;
    absl::Notification started;
    std::unique_ptr<Trainer> trainer;
    options.run.on_phase = [&](v1::Phase phase, uint64_t step) {
      if (phase != v1::PHASE_DATA_WAIT) return;
      // Once to wait for its packs, and once more to parse them.
      if (++data_waits[step] > 1) trained.late_steps.insert(step);
      if (step != options_.steps) return;
      started.WaitForNotification();
      for (const auto& family : trainer->metrics()->Collect()) {
        if (!family.metric.empty()) trained.series.insert(family.name);
      }
    };
    trainer = *Trainer::Start(std::move(options));
    started.Notify();
    trained.done = coordinator.WaitUntilDone();
    trained.failure = coordinator.failure();
    trained.generation = coordinator.generation();
    for (const v1::StepReport& step : coordinator.history()) trained.losses.push_back(step.loss());
    for (const v1::ReportEventRequest& event : coordinator.events()) {
      for (const v1::Scores::Score& score : event.scores().scores()) {
        trained.scores[score.metric()] = score.value();
      }
      if (trained.first_scores.empty()) trained.first_scores = trained.scores;
    }
    const auto checkpoints = coordinator.checkpoints();
    if (!trained.done || checkpoints.empty()) return trained;
    const TrainerModel model(*ResolveModelConfig(spec.model(), spec.preprocess(), spec.loss()),
                             false);
    ModelState state(model.table);
    trained.checkpoint = checkpoints.rbegin()->second;
    const auto manifest = LoadCheckpoint(trained.checkpoint, options_.job, model.table, &state);
    EXPECT_TRUE(manifest.ok()) << manifest.status();
    trained.parameters.assign(state.parameters.span().begin(), state.parameters.span().end());
    return trained;
  }
  Trained TrainOnDevice() {
    const DeviceMemory before = *accelerator_.gpu.device->memory();
    const Trained trained = Train(v1::TrainersSpec::CUDA, &accelerator_);
    const DeviceMemory after = *accelerator_.gpu.device->memory();
    EXPECT_EQ(before.arena_used_bytes, after.arena_used_bytes);
    EXPECT_EQ(before.arena_reserved_bytes, after.arena_reserved_bytes) << "kept after the run";
    return trained;
  }

  // Over the 20 examples of the evaluation. What bf16 leaves may change the rank of one or two.
  static void ExpectNearlyTheSameScores(const Trained& cpu, const Trained& device,
                                        size_t scores = 12) {
    EXPECT_EQ(scores, cpu.scores.size());
    for (const auto& [metric, score] : cpu.scores) {
      ASSERT_TRUE(device.scores.contains(metric)) << metric;
      EXPECT_NEAR(score, device.scores.at(metric), 0.101) << metric;
    }
    EXPECT_EQ(cpu.scores.size(), device.scores.size());
  }

  FakeCoordinatorOptions options_;
  Accelerator accelerator_;
  uint64_t incarnation_ = 0;
};

TEST_F(TrainerOnDeviceTest, FollowsTheCpuAndSavesTheDevicesWeights) {
  const Trained cpu = Train(v1::TrainersSpec::CPU, &accelerator_);
  const Trained device = TrainOnDevice();
  ASSERT_TRUE(cpu.done && device.done) << cpu.failure << device.failure;
  ASSERT_EQ(8u, device.losses.size());
  for (size_t i = 0; i < cpu.losses.size(); ++i) {
    EXPECT_NEAR(cpu.losses[i], device.losses[i], 0.02 * cpu.losses[i]) << "step " << i + 1;
  }
  EXPECT_EQ(8u, cpu.late_steps.size());
  EXPECT_TRUE(device.late_steps.contains(1));
  EXPECT_LT(device.late_steps.size(), 8u) << "no packs were sent ahead";
  double difference = 0, length = 0;
  for (size_t i = 0; i < cpu.parameters.size(); ++i) {
    difference += std::pow(cpu.parameters[i] - device.parameters[i], 2);
    length += std::pow(cpu.parameters[i], 2);
  }
  EXPECT_GT(difference, 0) << "both were computed on the CPU";
  EXPECT_LT(std::sqrt(difference), 0.02 * std::sqrt(length));
  EXPECT_TRUE(device.series.contains("navit_device_memory_bytes"));
  EXPECT_FALSE(cpu.series.contains("navit_device_memory_bytes"));
  EXPECT_TRUE(cpu.series.contains("navit_device_peak_flops_per_second"));
  // As far as the card is known, which the twin is not.
  EXPECT_EQ(device.series.contains("navit_device_peak_flops_per_second"),
            DevicePeakFlops(accelerator_.gpu.device->name()).has_value());
}

TEST_F(TrainerOnDeviceTest, ABrokenGenerationGoesOnFromTheDevicesWeights) {
  const Trained undisturbed = TrainOnDevice();
  options_.corrupt_step = 3;
  const Trained again = TrainOnDevice();
  ASSERT_TRUE(undisturbed.done && again.done) << again.failure;
  EXPECT_GT(again.generation, undisturbed.generation);
  EXPECT_EQ(undisturbed.losses, again.losses);
  EXPECT_EQ(undisturbed.parameters, again.parameters);
}

// The packs of the next step, which were sent ahead, are trained on by nobody then, and again
// later.
TEST_F(TrainerOnDeviceTest, StopsAfterTheNamedStepAndGoesOnFromThere) {
  const Trained undisturbed = TrainOnDevice();
  options_.stop_after_step = 4;
  const Trained stopped = TrainOnDevice();
  options_.stop_after_step = 0;
  options_.checkpoint = stopped.checkpoint;
  options_.checkpoint_step = 4;
  const Trained resumed = TrainOnDevice();
  ASSERT_TRUE(undisturbed.done && stopped.done && resumed.done) << resumed.failure;
  std::vector<float> losses = stopped.losses;
  EXPECT_EQ(4u, losses.size());
  losses.insert(losses.end(), resumed.losses.begin(), resumed.losses.end());
  EXPECT_EQ(undisturbed.losses, losses);
  EXPECT_EQ(undisturbed.parameters, resumed.parameters);
}

TEST_F(TrainerOnDeviceTest, EvaluatesTheAverageOnTheDevice) {
  options_.job.mutable_spec()->mutable_optimizer()->set_ema_decay(0.5);
  options_.job.mutable_spec()->mutable_evaluation()->set_every_steps(3);
  const Trained cpu = Train(v1::TrainersSpec::CPU, &accelerator_);
  const Trained device = TrainOnDevice();
  ASSERT_TRUE(cpu.done && device.done) << cpu.failure << device.failure;
  ExpectNearlyTheSameScores(cpu, device);
  // The evaluations changed nothing of the steps.
  options_.job.mutable_spec()->mutable_evaluation()->set_every_steps(0);
  EXPECT_EQ(device.parameters, TrainOnDevice().parameters);
}

// Embedders that runs had made.
int made_embedders = 0;

// The weights that the run's last evaluation had on the device are those of its checkpoint, and not
// those of its start.
TEST_F(TrainerOnDeviceTest, EvaluatesACheckpointOnTheDeviceAsTheRunDid) {
  v1::JobSpec& spec = *options_.job.mutable_spec();
  spec.mutable_optimizer()->set_lr(0.02);
  spec.mutable_optimizer()->set_ema_decay(0.5);
  spec.mutable_evaluation()->set_every_steps(1);
  const Trained trained = TrainOnDevice();
  ASSERT_TRUE(trained.done) << trained.failure;
  EXPECT_NE(trained.first_scores, trained.scores);
  spec.set_kind(kEvaluationJob);
  spec.mutable_evaluation()->set_checkpoint(trained.checkpoint);
  made_embedders = 0;
  accelerator_.make_embedder = [](const ParameterTable* table, const float* parameters,
                                  int64_t joined_tokens, Device* device,
                                  kernels::cuda::LinearEngine* engine) {
    ++made_embedders;
    return MakeDeviceEmbedder(table, parameters, joined_tokens, device, engine);
  };
  const Trained cpu = Train(v1::TrainersSpec::CPU, &accelerator_);
  EXPECT_EQ(0, made_embedders);
  const Trained device = TrainOnDevice();
  EXPECT_EQ(1, made_embedders);
  ASSERT_TRUE(cpu.done && device.done) << cpu.failure << device.failure;
  EXPECT_EQ(trained.scores, device.scores);
  ExpectNearlyTheSameScores(cpu, device);
}

// With prompts, which are texts alone, and features for the probe.
TEST_F(TrainerOnDeviceTest, ZeroShotAndTheLinearProbeAreNearlyTheCpus) {
  v1::JobSpec& spec = *options_.job.mutable_spec();
  spec.mutable_model()->set_classes(3);
  spec.mutable_evaluation()->clear_tasks();
  spec.mutable_evaluation()->add_tasks(v1::EvaluationSpec::ZERO_SHOT);
  spec.mutable_evaluation()->add_tasks(v1::EvaluationSpec::LINEAR_PROBE);
  for (const char* name : {"one", "two", "three"}) {
    spec.mutable_evaluation()->mutable_zero_shot()->add_class_names(name);
  }
  spec.mutable_evaluation()->mutable_linear_probe()->set_l2(1e-2);
  spec.mutable_evaluation()->mutable_linear_probe()->set_iterations(50);
  const Trained cpu = Train(v1::TrainersSpec::CPU, &accelerator_);
  const Trained device = TrainOnDevice();
  ASSERT_TRUE(cpu.done && device.done) << cpu.failure << device.failure;
  ExpectNearlyTheSameScores(cpu, device, 10);
  // What bf16 leaves shows in the calibration.
  for (const char* metric : {"heldout/zero_shot/ece", "heldout/linear_probe/ece"}) {
    EXPECT_NE(cpu.scores.at(metric), device.scores.at(metric)) << metric;
  }
}

TEST_F(TrainerOnDeviceTest, WhatADeviceCannotEvaluateIsNamed) {
  // Of 4 numbers.
  v1::JobSpec& spec = *options_.job.mutable_spec();
  spec.mutable_model()->mutable_image()->mutable_size()->set_heads(8);
  const Trained trained = Train(v1::TrainersSpec::CPU, &accelerator_);
  spec.set_kind(kEvaluationJob);
  spec.mutable_evaluation()->set_checkpoint(trained.checkpoint);
  const Trained device = TrainOnDevice();
  EXPECT_FALSE(device.done);
  EXPECT_TRUE(absl::StrContains(device.failure, "model.image.size.heads")) << device.failure;
}

TEST_F(TrainerOnDeviceTest, WhatADeviceCannotDoIsNamed) {
  // Of 4 numbers.
  options_.job.mutable_spec()->mutable_model()->mutable_image()->mutable_size()->set_heads(8);
  const Trained trained = TrainOnDevice();
  EXPECT_FALSE(trained.done);
  EXPECT_TRUE(absl::StrContains(trained.failure, "model.image.size.heads")) << trained.failure;
}

TEST_F(TrainerOnDeviceTest, ATrainerWithoutAGpuSaysSo) {
  const Trained trained = Train(v1::TrainersSpec::CUDA, nullptr);
  EXPECT_FALSE(trained.done);
  EXPECT_TRUE(absl::StrContains(trained.failure, "no GPU")) << trained.failure;
}

}  // namespace
}  // namespace navit
