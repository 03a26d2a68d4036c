// Training steps with the kernels of a GPU, run by the host twin or by one, against those of the
// CPU.
#include "worker/model/device/train_step.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "worker/collective_threads.h"
#include "worker/model/device/test_machine.h"
#include "worker/model/testing.h"

namespace navit {
namespace {

// Two trainers from one start.
class DeviceTrainStepTest : public MachineTest {
 protected:
  explicit DeviceTrainStepTest(ModelConfig config = SmallModelConfig(), bool averaged = false)
      : table_(config), cpu_state_(table_, averaged), device_state_(table_, averaged) {
    InitializeState(table_, 3, &cpu_state_);
    InitializeState(table_, 3, &device_state_);
    // Several micro-batches, of which some share activations.
    options_.micro_batch_tokens = 30;
    options_.optimizer.lr = 1e-3;
  }

  std::vector<Batch> Packs(uint64_t step) {
    return {DrawBatch(table_.config(), 11, 100 * step, {{5, 3}, {1, 1}, {20, 7}}),
            DrawBatch(table_.config(), 11, 100 * step + 50, {{9, 5}, {0, 0}, {12, 2}})};
  }

  std::unique_ptr<TrainStep> OnMachine() {
    auto step =
        MakeDeviceTrainStep(&table_, options_, &device_state_, &pool_, device(), engine(), {});
    EXPECT_TRUE(step.ok()) << step.status();
    return *std::move(step);
  }

  // Both train on the same packs each time, so that the loss must fall.
  void FollowTheCpuTrainer(uint64_t steps) {
    TrainStep cpu(&table_, options_, &cpu_state_, &pool_, {});
    const std::unique_ptr<TrainStep> device = OnMachine();
    double first_loss = 0, last_loss = 0;
    for (uint64_t step = 1; step <= steps; ++step) {
      const auto want = cpu.ComputeGradients(Packs(0), alone_[0].get());
      const auto got = device->ComputeGradients(Packs(0), alone_[0].get());
      ASSERT_TRUE(want.ok() && got.ok()) << got.status();
      EXPECT_EQ(want->valid_examples, got->valid_examples);
      EXPECT_NEAR(want->loss, got->loss, 0.02 * want->loss + 1e-3) << "step " << step;
      const auto cpu_update = cpu.Apply(*want, 0.5, step);
      const auto device_update = device->Apply(*got, 0.5, step);
      ASSERT_TRUE(cpu_update.ok() && device_update.ok()) << device_update.status();
      EXPECT_NEAR(cpu_update->gradient_norm, device_update->gradient_norm,
                  0.05 * cpu_update->gradient_norm + 0.01);
      EXPECT_NEAR(cpu_update->logit_scale, device_update->logit_scale, 0.01);
      if (step == 1) first_loss = got->loss;
      last_loss = got->loss;
    }
    EXPECT_LT(last_loss, 0.9 * first_loss);
    ASSERT_TRUE(device->ReadState().ok());
    EXPECT_EQ(device_state_.updates, steps);
    // AdamW moves a number by up to the learning rate a step, whichever way its gradient's sign
    // says; few signs differ.
    double difference = 0, moved = 0;
    ModelState start(table_);
    InitializeState(table_, 3, &start);
    for (size_t i = 0; i < table_.total_size(); ++i) {
      difference +=
          std::pow(cpu_state_.parameters.data()[i] - device_state_.parameters.data()[i], 2);
      moved += std::pow(cpu_state_.parameters.data()[i] - start.parameters.data()[i], 2);
    }
    EXPECT_LT(std::sqrt(difference), 0.25 * std::sqrt(moved));
    difference = moved = 0;
    for (size_t i = 0; i < cpu_state_.average.size(); ++i) {
      difference += std::pow(cpu_state_.average.data()[i] - device_state_.average.data()[i], 2);
      moved += std::pow(cpu_state_.average.data()[i] - start.parameters.data()[i], 2);
    }
    EXPECT_LE(std::sqrt(difference), 0.25 * std::sqrt(moved));
    EXPECT_EQ(moved > 0, cpu_state_.has_average());
  }

  const ParameterTable table_;
  ModelState cpu_state_, device_state_;
  TrainStepOptions options_;
  kernels::ThreadPool pool_{1};
  std::vector<std::unique_ptr<Collective>> alone_ = MakeThreadCollectives(1);
};

TEST_F(DeviceTrainStepTest, TenStepsFollowTheCpuTrainer) { FollowTheCpuTrainer(10); }

TEST_F(DeviceTrainStepTest, ASharedSlotRunsForwardTwice) {
  options_.activation_bytes = 1;
  FollowTheCpuTrainer(3);
}

TEST_F(DeviceTrainStepTest, TwoRunsGiveTheSameBits) {
  std::vector<float> bits[2];
  for (std::vector<float>& run : bits) {
    InitializeState(table_, 3, &device_state_);
    const std::unique_ptr<TrainStep> device = OnMachine();
    for (uint64_t step = 1; step <= 2; ++step) {
      const auto gradients = device->ComputeGradients(Packs(step), alone_[0].get());
      ASSERT_TRUE(gradients.ok()) << gradients.status();
      ASSERT_TRUE(device->Apply(*gradients, 0.5, step).ok());
    }
    ASSERT_TRUE(device->ReadState().ok());
    run.assign(device_state_.parameters.data(),
               device_state_.parameters.data() + device_state_.parameters.size());
  }
  EXPECT_EQ(bits[0], bits[1]);
}

TEST_F(DeviceTrainStepTest, AStepWithoutAFiniteGradientChangesNothing) {
  device_state_.parameters.data()[table_.Find("image.blocks.0.mlp.fc1.weight").offset] =
      std::numeric_limits<float>::infinity();
  const std::unique_ptr<TrainStep> device = OnMachine();
  const auto gradients = device->ComputeGradients(Packs(0), alone_[0].get());
  ASSERT_TRUE(gradients.ok()) << gradients.status();
  const std::vector<float> before(
      device_state_.parameters.data(),
      device_state_.parameters.data() + device_state_.parameters.size());
  const auto update = device->Apply(*gradients, 0.5, 1);
  ASSERT_TRUE(update.ok());
  EXPECT_TRUE(update->skipped);
  ASSERT_TRUE(device->ReadState().ok());
  EXPECT_EQ(before,
            std::vector<float>(device_state_.parameters.data(),
                               device_state_.parameters.data() + device_state_.parameters.size()));
  EXPECT_EQ(device_state_.updates, 0u);
}

TEST_F(DeviceTrainStepTest, FrozenTensorsStay) {
  for (const ParameterInfo& info : table_.entries()) {
    options_.optimizer.rules.push_back({.frozen = info.name.rfind("text.", 0) == 0});
  }
  const std::unique_ptr<TrainStep> device = OnMachine();
  const auto gradients = device->ComputeGradients(Packs(0), alone_[0].get());
  ASSERT_TRUE(gradients.ok()) << gradients.status();
  ASSERT_TRUE(device->Apply(*gradients, 0.5, 1).ok());
  ASSERT_TRUE(device->ReadState().ok());
  for (const ParameterInfo& info : table_.entries()) {
    const bool same = std::equal(device_state_.parameters.data() + info.offset,
                                 device_state_.parameters.data() + info.offset + info.size,
                                 cpu_state_.parameters.data() + info.offset);
    EXPECT_EQ(same, info.name.rfind("text.", 0) == 0) << info.name;
  }
}

// Rates and decays of their own, which reach the device in one table.
TEST_F(DeviceTrainStepTest, RatesAndDecaysOfTensors) {
  for (const ParameterInfo& info : table_.entries()) {
    const bool text = info.name.rfind("text.", 0) == 0;
    options_.optimizer.rules.push_back(
        {.lr_scale = text ? 0.0 : 3.0, .weight_decay = info.decay ? 5.0 : 0.0});
  }
  options_.optimizer.lr = 1e-2;
  TrainStep cpu(&table_, options_, &cpu_state_, &pool_, {});
  const std::unique_ptr<TrainStep> device = OnMachine();
  const auto want = cpu.ComputeGradients(Packs(0), alone_[0].get());
  const auto got = device->ComputeGradients(Packs(0), alone_[0].get());
  ASSERT_TRUE(want.ok() && got.ok()) << got.status();
  ModelState start(table_);
  InitializeState(table_, 3, &start);
  ASSERT_TRUE(cpu.Apply(*want, 0.5, 1).ok());
  ASSERT_TRUE(device->Apply(*got, 0.5, 1).ok());
  ASSERT_TRUE(device->ReadState().ok());
  for (const ParameterInfo& info : table_.entries()) {
    const float* const before = start.parameters.data() + info.offset;
    const float* const after = device_state_.parameters.data() + info.offset;
    const float* const cpu_after = cpu_state_.parameters.data() + info.offset;
    if (info.name.rfind("text.", 0) == 0) {
      EXPECT_TRUE(std::equal(before, before + info.size, after)) << info.name;
    } else if (info.decay) {
      // Without the decay or the factor of the rate, over 0.6.
      double difference = 0, moved = 0;
      for (size_t i = 0; i < info.size; ++i) {
        difference += std::pow(after[i] - cpu_after[i], 2);
        moved += std::pow(cpu_after[i] - before[i], 2);
      }
      EXPECT_LT(std::sqrt(difference), 0.4 * std::sqrt(moved)) << info.name;
    }
  }
}

class DeviceAverageTest : public DeviceTrainStepTest {
 protected:
  DeviceAverageTest() : DeviceTrainStepTest(SmallModelConfig(), /*averaged=*/true) {
    options_.optimizer.ema_decay = 0.8;
  }
};

TEST_F(DeviceAverageTest, TheAverageFollowsTheCpuTrainers) { FollowTheCpuTrainer(4); }

TEST_F(DeviceTrainStepTest, AModelWithoutKernelsIsRefused) {
  ModelConfig config = SmallModelConfig();
  config.image.width = config.image.heads * 12;
  const ParameterTable table(config);
  ModelState state(table);
  EXPECT_EQ(
      MakeDeviceTrainStep(&table, options_, &state, &pool_, device(), engine(), {}).status().code(),
      absl::StatusCode::kUnimplemented);
}

// Patches of 147 numbers, MLPs of 50, embeddings of 21.
class DeviceOddSidesTest : public DeviceTrainStepTest {
 protected:
  DeviceOddSidesTest() : DeviceTrainStepTest(Config()) {}
  static ModelConfig Config() {
    ModelConfig config = SmallModelConfig();
    config.patch_size = 7;
    config.image.mlp_dim = config.text.mlp_dim = 50;
    config.embedding_dim = 21;
    return config;
  }
};

TEST_F(DeviceOddSidesTest, StepsFollowTheCpuTrainer) { FollowTheCpuTrainer(3); }

class DeviceClassifierTest : public DeviceTrainStepTest {
 protected:
  DeviceClassifierTest() : DeviceTrainStepTest(Config()) {}
  static ModelConfig Config() {
    return SmallClassifierConfig(v1::LossSpec::SOFTMAX_CLASSIFICATION);
  }
};

TEST_F(DeviceClassifierTest, AStepFollowsTheCpuTrainer) {
  options_.loss.set_kind(v1::LossSpec::SOFTMAX_CLASSIFICATION);
  TrainStep cpu(&table_, options_, &cpu_state_, &pool_, {});
  const std::unique_ptr<TrainStep> device = OnMachine();
  const auto want = cpu.ComputeGradients(Packs(0), alone_[0].get());
  const auto got = device->ComputeGradients(Packs(0), alone_[0].get());
  ASSERT_TRUE(want.ok() && got.ok()) << got.status();
  EXPECT_NEAR(want->loss, got->loss, 0.01 * want->loss);
}

}  // namespace
}  // namespace navit
