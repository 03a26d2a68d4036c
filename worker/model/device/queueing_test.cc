// How a training step keeps a device busy: what the host waits for.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "worker/collective.h"
#include "worker/collective_threads.h"
#include "worker/model/device/test_machine.h"
#include "worker/model/device/train_step.h"
#include "worker/model/device/twin_device.h"
#include "worker/model/testing.h"

namespace navit {
namespace {

// Rank 0 of two, of which the other one has no examples and zeros as gradients.
class BesideAnEmptyRank : public Collective {
 public:
  int rank() const override { return 0; }
  int world_size() const override { return 2; }
  absl::Status AllReduceSum(absl::Span<float>) override { return absl::OkStatus(); }
  absl::Status AllReduceSum(absl::Span<double>) override { return absl::OkStatus(); }
  absl::Status AllReduceMax(absl::Span<float>) override { return absl::OkStatus(); }
  absl::Status AllGather(absl::Span<const float> mine, absl::Span<const size_t>,
                         absl::Span<float> all) override {
    return Gather(mine, all);
  }
  absl::Status AllGather(absl::Span<const uint64_t> mine, absl::Span<const size_t>,
                         absl::Span<uint64_t> all) override {
    return Gather(mine, all);
  }
  absl::Status ReduceScatter(absl::Span<const float> partial, absl::Span<const size_t>,
                             absl::Span<float> mine) override {
    std::copy_n(partial.begin(), mine.size(), mine.begin());
    return absl::OkStatus();
  }
  absl::Status Broadcast(absl::Span<char>, int) override { return absl::OkStatus(); }
  void Abort() override {}

 private:
  template <typename T>
  static absl::Status Gather(absl::Span<const T> mine, absl::Span<T> all) {
    std::fill(std::copy(mine.begin(), mine.end(), all.begin()), all.end(), T{0});
    return absl::OkStatus();
  }
};

class QueueingTest : public MachineTest {
 protected:
  QueueingTest() { InitializeState(table_, 3, &state_); }

  // Waits in the second of two steps of `packs` packs, each a micro-batch.
  int Waits(int packs, int64_t activation_bytes) {
    TrainStepOptions options;
    options.micro_batch_tokens = 1;
    options.activation_bytes = activation_bytes;
    const auto step =
        MakeDeviceTrainStep(&table_, options, &state_, &pool_, device(), engine(), {});
    EXPECT_TRUE(step.ok()) << step.status();
    std::vector<Batch> batches;
    for (int i = 0; i < packs; ++i) {
      batches.push_back(DrawBatch(table_.config(), 11, 50 * i, {{5, 3}, {4, 2}}));
    }
    EXPECT_TRUE((*step)->ComputeGradients(batches, alone_[0].get()).ok());
    const int before = static_cast<TwinDevice*>(device())->waits();
    EXPECT_TRUE((*step)->ComputeGradients(batches, alone_[0].get()).ok());
    return static_cast<TwinDevice*>(device())->waits() - before;
  }

  // Calls of the host by the device in a step.
  int HostCalls(Collective* collective) {
    const auto step = MakeDeviceTrainStep(&table_, {}, &state_, &pool_, device(), engine(), {});
    EXPECT_TRUE(step.ok()) << step.status();
    const std::vector<Batch> batches = {DrawBatch(table_.config(), 11, 0, {{5, 3}, {4, 2}})};
    const int before = static_cast<TwinDevice*>(device())->host_calls();
    const auto gradients = (*step)->ComputeGradients(batches, collective);
    EXPECT_TRUE(gradients.ok()) << gradients.status();
    return static_cast<TwinDevice*>(device())->host_calls() - before;
  }

  const ParameterTable table_{SmallModelConfig()};
  ModelState state_{table_};
  kernels::ThreadPool pool_{1};
  std::vector<std::unique_ptr<Collective>> alone_ = MakeThreadCollectives(1);
};

TEST_F(QueueingTest, WaitsDoNotGrowWithTheMicroBatches) {
  const int64_t enough = int64_t{1} << 30;
  EXPECT_EQ(Waits(1, enough), Waits(4, enough));
}

TEST_F(QueueingTest, AnInputThatIsUnderWayIsWaitedFor) {
  EXPECT_GT(Waits(4, 1), Waits(1, 1)) << "all micro-batches share a slot and its input";
}

// Without peers nobody asks how far the backward pass is, and the stream need not stop for the
// host.
TEST_F(QueueingTest, ARankAloneIsNotToldOfProgress) {
  EXPECT_EQ(0, HostCalls(alone_[0].get()));
  BesideAnEmptyRank two;
  EXPECT_GT(HostCalls(&two), 0);
}

}  // namespace
}  // namespace navit
