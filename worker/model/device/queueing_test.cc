// How training steps and embedders keep a device busy: what the host waits for, what is allocated,
// and that nothing but the waits that are there orders the streams.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "kernels/cuda/host_twin/linear.h"
#include "kernels/cuda/host_twin/memory.h"
#include "kernels/cuda/host_twin/streams.h"
#include "worker/collective.h"
#include "worker/collective_threads.h"
#include "worker/model/device/embed.h"
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

TEST_F(QueueingTest, NorWhereTheyShareASlotAndItsInput) { EXPECT_EQ(Waits(1, 1), Waits(4, 1)); }

// Without peers nobody asks how far the backward pass is, and the stream need not stop for the
// host.
TEST_F(QueueingTest, ARankAloneIsNotToldOfProgress) {
  EXPECT_EQ(0, HostCalls(alone_[0].get()));
  BesideAnEmptyRank two;
  EXPECT_GT(HostCalls(&two), 0);
}

// Steps of three micro-batches, the packs of each given while the one before computes.
class StreamsTest : public testing::Test {
 protected:
  using Schedule = kernels::cuda::twin::Schedule;
  using Waits = std::set<std::pair<int, Schedule::Waiter>>;
  // Seeds of twin::Schedule: what passes and copies do.
  static constexpr uint64_t kBothLate = 0, kCopiesLate = 2, kBothDrawn = 4, kPassesLate = 6,
                            kAtOnce = 8;

  std::vector<Batch> Packs(uint64_t step) const {
    std::vector<Batch> packs;
    for (uint64_t i = 0; i < 3; ++i) {
      packs.push_back(DrawBatch(table_.config(), 11, 1000 * step + 50 * i, {{5, 3}, {4, 2}}));
    }
    return packs;
  }

  struct Trained {
    std::vector<float> parameters;
    std::vector<std::string> findings;
    Waits waits;
    // Until after each step.
    std::vector<int> allocations;
    // Of the arena, in all.
    int takes = 0, reservations = 0;
    // After the last step, once nothing of the training is left, and after Trim.
    DeviceMemory last, left, trimmed;
  };

  Trained Train(uint64_t seed, int64_t activation_bytes, uint64_t steps,
                const Waits& skipped = {}) {
    kernels::cuda::twin::TakeFindings();
    TwinDevice device(seed);
    for (const auto& [event, waiter] : skipped) device.schedule().SkipWaits(event, waiter);
    kernels::cuda::TwinLinearEngine engine;
    ModelState state(table_);
    InitializeState(table_, 3, &state);
    TrainStepOptions options;
    options.micro_batch_tokens = 1;
    options.activation_bytes = activation_bytes;
    options.optimizer.lr = 1e-3;
    auto step = *MakeDeviceTrainStep(&table_, options, &state, &pool_, &device, &engine, {});
    Trained trained;
    EXPECT_TRUE(step->Prepare(Packs(1)).ok());
    for (uint64_t number = 1; number <= steps; ++number) {
      int calls = 0;
      const auto gradients = step->ComputePrepared(alone_[0].get(), [&] {
        ++calls;
        EXPECT_TRUE(step->Prepare(Packs(number + 1)).ok());
      });
      EXPECT_EQ(1, calls);
      EXPECT_TRUE(gradients.ok()) << gradients.status();
      if (!gradients.ok()) return trained;
      EXPECT_TRUE(step->Apply(*gradients, 0.5, number).ok());
      trained.allocations.push_back(device.allocations());
    }
    EXPECT_TRUE(step->ReadState().ok());
    trained.takes = device.arena()->takes();
    trained.reservations = device.arena()->reservations();
    trained.last = *device.memory();
    step.reset();
    trained.left = *device.memory();
    EXPECT_TRUE(device.arena()->Trim().ok());
    trained.trimmed = *device.memory();
    trained.parameters.assign(state.parameters.span().begin(), state.parameters.span().end());
    trained.findings = kernels::cuda::twin::TakeFindings().texts;
    trained.waits = device.schedule().waits();
    return trained;
  }

  const ParameterTable table_{SmallModelConfig()};
  kernels::ThreadPool pool_{1};
  std::vector<std::unique_ptr<Collective>> alone_ = MakeThreadCollectives(1);
};

constexpr int64_t kOneSlot = 1;
constexpr int64_t kSlotForEach = int64_t{1} << 30;

TEST_F(StreamsTest, NothingIsAllocatedAfterTheSecondStep) {
  for (const int64_t activation_bytes : {kOneSlot, kSlotForEach}) {
    const std::vector<int> allocations = Train(kAtOnce, activation_bytes, 4).allocations;
    ASSERT_EQ(4u, allocations.size());
    EXPECT_GT(allocations[0], 0);
    EXPECT_EQ(allocations[1], allocations[2]);
    EXPECT_EQ(allocations[1], allocations[3]);
  }
}

TEST_F(StreamsTest, AllMemoryIsTheArenasAndComesBack) {
  const Trained trained = Train(kAtOnce, kSlotForEach, 3);
  const size_t state = table_.total_size() * (4 * sizeof(float) + sizeof(uint16_t));
  EXPECT_GT(trained.last.arena_used_bytes, state);
  EXPECT_GE(trained.last.arena_peak_bytes, trained.last.arena_used_bytes);
  EXPECT_GE(trained.last.arena_reserved_bytes, trained.last.arena_peak_bytes);
  EXPECT_LT(trained.reservations, trained.takes)
      << "what buffers left as they grew served no other";
  EXPECT_EQ(0u, trained.left.arena_used_bytes);
  EXPECT_EQ(trained.last.arena_reserved_bytes, trained.left.arena_reserved_bytes);
  EXPECT_EQ(trained.last.arena_peak_bytes, trained.left.arena_peak_bytes);
  EXPECT_EQ(0u, trained.trimmed.arena_reserved_bytes);
}

// As after the loss of a rank: the next generation's buffers are the last one's.
TEST_F(StreamsTest, ASecondTrainStepReservesNothing) {
  TwinDevice device;
  kernels::cuda::TwinLinearEngine engine;
  ModelState state(table_);
  InitializeState(table_, 3, &state);
  std::vector<int> reservations;
  for (int generation = 0; generation < 2; ++generation) {
    const auto step = *MakeDeviceTrainStep(&table_, {}, &state, &pool_, &device, &engine, {});
    ASSERT_TRUE(step->ComputeGradients(Packs(1), alone_[0].get()).ok());
    reservations.push_back(device.arena()->reservations());
  }
  EXPECT_GT(reservations[0], 0);
  EXPECT_EQ(reservations[0], reservations[1]);
}

TEST_F(StreamsTest, WantOfMemorySaysHowMuchThereIs) {
  TwinDevice device;
  kernels::cuda::TwinLinearEngine engine;
  ModelState state(table_);
  InitializeState(table_, 3, &state);
  const size_t too_little = 3 * table_.total_size() * sizeof(float);
  device.arena()->SetLimit(too_little);
  absl::Status status =
      MakeDeviceTrainStep(&table_, {}, &state, &pool_, &device, &engine, {}).status();
  EXPECT_EQ(absl::StatusCode::kResourceExhausted, status.code());
  EXPECT_TRUE(absl::StrContains(status.message(), absl::StrCat(" of ", too_little, " are free")))
      << status;
  EXPECT_EQ(0u, device.memory()->arena_used_bytes);

  // Room for the weights, and for no activations.
  device.arena()->SetLimit(size_t{1} << 30);
  const auto step = *MakeDeviceTrainStep(&table_, {}, &state, &pool_, &device, &engine, {});
  device.arena()->SetLimit(device.memory()->arena_used_bytes + 10);
  status = step->ComputeGradients(Packs(1), alone_[0].get()).status();
  EXPECT_EQ(absl::StatusCode::kResourceExhausted, status.code());
  EXPECT_TRUE(absl::StrContains(status.message(), " 10 of ")) << status;
}

TEST_F(StreamsTest, PacksThatAreGivenAheadGiveTheSameBits) {
  TwinDevice device;
  kernels::cuda::TwinLinearEngine engine;
  ModelState state(table_);
  InitializeState(table_, 3, &state);
  TrainStepOptions options;
  options.micro_batch_tokens = 1;
  options.optimizer.lr = 1e-3;
  auto step = *MakeDeviceTrainStep(&table_, options, &state, &pool_, &device, &engine, {});
  for (uint64_t number = 1; number <= 2; ++number) {
    const auto gradients = step->ComputeGradients(Packs(number), alone_[0].get());
    ASSERT_TRUE(gradients.ok() && step->Apply(*gradients, 0.5, number).ok());
  }
  ASSERT_TRUE(step->ReadState().ok());
  const std::vector<float> parameters(state.parameters.span().begin(),
                                      state.parameters.span().end());
  EXPECT_EQ(parameters, Train(kAtOnce, kSlotForEach, 2).parameters);
  EXPECT_EQ(absl::StatusCode::kFailedPrecondition,
            step->ComputePrepared(alone_[0].get()).status().code());
}

TEST_F(StreamsTest, EveryOrderThatTheWaitsLeaveGivesTheSameBits) {
  const std::vector<float> expected = Train(kAtOnce, kOneSlot, 2).parameters;
  const auto check = [&](uint64_t seed, int64_t activation_bytes) {
    const Trained trained = Train(seed, activation_bytes, 2);
    EXPECT_EQ(expected, trained.parameters) << "seed " << seed;
    EXPECT_EQ(std::vector<std::string>(), trained.findings) << "seed " << seed;
  };
  for (const uint64_t seed : {kBothLate, kCopiesLate, kBothDrawn, kPassesLate}) {
    check(seed, kOneSlot);
  }
  for (const uint64_t seed : {kCopiesLate, kPassesLate}) check(seed, kSlotForEach);
}

// Three batches, with the stream that copies the weights and those of the passes and their inputs
// as fast as the seed says.
TEST_F(StreamsTest, EmbedsTheSameBitsInEveryOrderAndAllocatesForTwoBatchesAlone) {
  ModelState state(table_);
  InitializeState(table_, 3, &state);
  const auto embed = [&](uint64_t seed) {
    kernels::cuda::twin::TakeFindings();
    TwinDevice device(seed);
    kernels::cuda::TwinLinearEngine engine;
    const auto embedder =
        *MakeDeviceEmbedder(&table_, state.parameters.data(), 64, &device, &engine);
    Embeddings embeddings;
    std::vector<int> allocations;
    for (const Batch& batch : Packs(1)) {
      EXPECT_TRUE(embedder->Embed(batch, &embeddings).ok());
      allocations.push_back(device.allocations());
    }
    EXPECT_EQ(allocations[1], allocations[2]);
    EXPECT_EQ(std::vector<std::string>(), kernels::cuda::twin::TakeFindings().texts)
        << "seed " << seed;
    std::vector<float> all = std::move(embeddings.images);
    all.insert(all.end(), embeddings.texts.begin(), embeddings.texts.end());
    return all;
  };
  const std::vector<float> expected = embed(26);  // All at once.
  EXPECT_EQ(2u * 6 * table_.config().embedding_dim, expected.size());
  for (uint64_t seed = 0; seed < 26; ++seed) EXPECT_EQ(expected, embed(seed)) << "seed " << seed;
}

// Without it some order computes something else.
TEST_F(StreamsTest, EachWaitIsNeeded) {
  const std::vector<float> expected = Train(kAtOnce, kOneSlot, 2).parameters;
  Waits waits;
  for (const uint64_t seed : {kCopiesLate, kPassesLate})
    waits.merge(Train(seed, kOneSlot, 2).waits);
  // Of two buffers: copies for the last use of theirs, passes and the host for the copy.
  EXPECT_EQ(6u, waits.size());
  for (const auto& wait : waits) {
    bool needed = false;
    for (const uint64_t seed : {kCopiesLate, kPassesLate, kBothLate}) {
      if (needed) break;
      const Trained trained = Train(seed, kOneSlot, 2, {wait});
      needed = !trained.findings.empty() || trained.parameters != expected;
    }
    EXPECT_TRUE(needed) << "event " << wait.first << ", waited for by "
                        << (wait.second == Schedule::Waiter::kHost ? "the host" : "a stream");
  }
}

}  // namespace
}  // namespace navit
