// How a training step keeps a device busy: what the host waits for.
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "worker/collective_threads.h"
#include "worker/model/device/test_machine.h"
#include "worker/model/device/train_step.h"
#include "worker/model/device/twin_device.h"
#include "worker/model/testing.h"

namespace navit {
namespace {

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

}  // namespace
}  // namespace navit
