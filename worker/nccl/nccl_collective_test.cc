#include "worker/nccl/nccl_collective.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/barrier.h"
#include "absl/synchronization/notification.h"
#include "worker/device/host_device.h"
#include "worker/model/gradient_reducer.h"
#include "worker/nccl/fake_nccl.h"
#include "worker/rendezvous_memory.h"

namespace navit {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int kWorldSizes[] = {1, 2, 3, 5};

class NcclCollectiveTest : public ::testing::Test {
 protected:
  void TearDown() override {
    EXPECT_THAT(nccl_.misuses(), IsEmpty());
    EXPECT_EQ(nccl_.open_communicators(), 0);
  }

  // `body` on ranks of one generation that are about to connect, one thread each.
  void Ranks(int world_size, const std::function<void(NcclCollective*, RendezvousStore*)>& body,
             absl::Duration timeout = absl::Seconds(60)) {
    MemoryRendezvousStore store;
    std::vector<std::thread> threads;
    for (int rank = 0; rank < world_size; ++rank) {
      threads.emplace_back([&, rank] {
        NcclCollective collective({.rank = rank, .world_size = world_size, .timeout = timeout},
                                  &nccl_, &device_);
        body(&collective, &store);
      });
    }
    for (std::thread& thread : threads) thread.join();
  }

  void Connected(int world_size, const std::function<void(NcclCollective*)>& body,
                 absl::Duration timeout = absl::Seconds(60)) {
    Ranks(
        world_size,
        [&](NcclCollective* collective, RendezvousStore* store) {
          const absl::Status connected = collective->Connect(store);
          ASSERT_TRUE(connected.ok()) << connected;
          body(collective);
        },
        timeout);
  }

  FakeNccl nccl_;
  HostDevice device_;
};

// `values` of host or device memory.
template <typename T>
class Array {
 public:
  Array(Device* device, bool on_device, std::vector<T> values) : host_(std::move(values)) {
    if (!on_device) return;
    buffer_ = *DeviceBuffer::Make(device, host_.size() * sizeof(T) + 1);
    std::copy(host_.begin(), host_.end(), data());
  }
  T* data() { return buffer_.data() != nullptr ? static_cast<T*>(buffer_.data()) : host_.data(); }
  absl::Span<T> span() { return absl::MakeSpan(data(), host_.size()); }
  std::vector<T> Read() { return {span().begin(), span().end()}; }

 private:
  std::vector<T> host_;
  DeviceBuffer buffer_;
};

TEST_F(NcclCollectiveTest, EveryOperationOnHostAndDeviceMemory) {
  for (const int world_size : kWorldSizes) {
    for (const bool on_device : {false, true}) {
      Connected(world_size, [&](NcclCollective* collective) {
        const int rank = collective->rank();
        const float total = static_cast<float>(world_size * (world_size + 1)) / 2;
        Array<float> sums(&device_, on_device, {rank + 1.0f, 1.0f});
        ASSERT_TRUE(collective->AllReduceSum(sums.span()).ok());
        EXPECT_EQ(sums.Read(), (std::vector<float>{total, 1.0f * world_size}));
        Array<double> doubles(&device_, on_device, {0.5});
        ASSERT_TRUE(collective->AllReduceSum(doubles.span()).ok());
        EXPECT_EQ(doubles.Read()[0], 0.5 * world_size);
        Array<float> largest(&device_, on_device, {-1.0f * rank, 1.0f * rank});
        ASSERT_TRUE(collective->AllReduceMax(largest.span()).ok());
        EXPECT_EQ(largest.Read(), (std::vector<float>{0, world_size - 1.0f}));

        // Rank r gives r elements of value r; rank 0 none.
        std::vector<size_t> counts;
        std::vector<float> expected;
        std::vector<uint64_t> expected_words;
        for (int r = 0; r < world_size; ++r) {
          counts.push_back(r);
          expected.insert(expected.end(), r, 1.0f * r);
          expected_words.insert(expected_words.end(), r, (uint64_t{1} << 60) + r);
        }
        Array<float> mine(&device_, on_device, std::vector<float>(rank, 1.0f * rank));
        Array<float> all(&device_, on_device, std::vector<float>(expected.size()));
        ASSERT_TRUE(collective->AllGather(mine.span(), counts, all.span()).ok());
        EXPECT_EQ(all.Read(), expected);
        Array<uint64_t> words(&device_, on_device,
                              std::vector<uint64_t>(rank, (uint64_t{1} << 60) + rank));
        Array<uint64_t> all_words(&device_, on_device, std::vector<uint64_t>(expected.size()));
        ASSERT_TRUE(collective->AllGather(words.span(), counts, all_words.span()).ok());
        EXPECT_EQ(all_words.Read(), expected_words);
        Array<float> block(&device_, on_device, std::vector<float>(rank));
        ASSERT_TRUE(collective->ReduceScatter(all.span(), counts, block.span()).ok());
        EXPECT_EQ(block.Read(), std::vector<float>(rank, 1.0f * rank * world_size));

        Array<char> text(
            &device_, on_device,
            rank == world_size - 1 ? std::vector<char>{'h', 'i'} : std::vector<char>{' ', ' '});
        ASSERT_TRUE(collective->Broadcast(text.span(), world_size - 1).ok());
        EXPECT_EQ(text.Read(), (std::vector<char>{'h', 'i'}));
      });
    }
  }
}

TEST_F(NcclCollectiveTest, HostBytesBeyondTheStagingBufferGoInPieces) {
  Connected(2, [&](NcclCollective* collective) {
    std::string bytes((size_t{32} << 20) + 3, '\0');
    if (collective->rank() == 1) {
      for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i % 251);
    }
    ASSERT_TRUE(collective->Broadcast(absl::MakeSpan(bytes.data(), bytes.size()), 1).ok());
    for (size_t i = 0; i < bytes.size(); i += 4099) {
      ASSERT_EQ(bytes[i], static_cast<char>(i % 251)) << i;
    }
    EXPECT_EQ(bytes.back(), static_cast<char>((bytes.size() - 1) % 251));
  });
  EXPECT_EQ(nccl_.calls("ncclBroadcast"), 4);
}

TEST_F(NcclCollectiveTest, NothingIsSentForNothing) {
  Connected(2, [&](NcclCollective* collective) {
    EXPECT_TRUE(collective->AllReduceSum(absl::Span<float>()).ok());
    EXPECT_TRUE(collective->AllGather(absl::Span<const float>(), {0, 0}, {}).ok());
    EXPECT_TRUE(collective->Broadcast({}, 0).ok());
    std::vector<float> mine(3), all(4);
    EXPECT_EQ(collective->AllGather(mine, {3, 0}, absl::MakeSpan(all)).code(),
              absl::StatusCode::kFailedPrecondition);
    EXPECT_EQ(collective->Broadcast({}, 2).code(), absl::StatusCode::kFailedPrecondition);
  });
  EXPECT_EQ(nccl_.calls("ncclAllReduce") + nccl_.calls("ncclBroadcast"), 0);
}

TEST_F(NcclCollectiveTest, EveryGenerationDrawsAFreshId) {
  // A used id would be a misuse.
  for (int generation = 0; generation < 3; ++generation) {
    Connected(2, [](NcclCollective* collective) {
      float one = 1;
      EXPECT_TRUE(collective->AllReduceSum(absl::MakeSpan(&one, 1)).ok());
      EXPECT_EQ(one, 2);
    });
  }
}

// Ranks x buckets: gradients on the device, summed in buckets while they are completed.
TEST_F(NcclCollectiveTest, BucketsOfGradients) {
  constexpr size_t kFloats = 1000;
  for (const int world_size : kWorldSizes) {
    for (const size_t bucket : {size_t{1000}, size_t{999}, size_t{300}, size_t{64}}) {
      Connected(world_size, [&](NcclCollective* collective) {
        Array<float> gradients(&device_, true,
                               std::vector<float>(kFloats, collective->rank() + 1.0f));
        GradientReducer reducer(gradients.span(), bucket, collective);
        for (size_t complete = 100; complete < kFloats; complete += 100) reducer.Complete(complete);
        ASSERT_TRUE(reducer.Finish().ok());
        const float total = static_cast<float>(world_size * (world_size + 1)) / 2;
        EXPECT_EQ(gradients.Read(), std::vector<float>(kFloats, total));
      });
    }
  }
}

// Ranks x buckets x failures: whichever bucket fails on whichever rank, all ranks end with an
// error, and none sees a sum of the bucket that failed.
TEST_F(NcclCollectiveTest, AFailureInAnyBucketOfAnyRankEndsAllRanks) {
  constexpr size_t kFloats = 100;
  for (const int world_size : {2, 3}) {
    for (const size_t bucket : {100, 30}) {
      const int buckets = static_cast<int>((kFloats + bucket - 1) / bucket);
      for (int rank = 0; rank < world_size; ++rank) {
        for (int nth = 0; nth < buckets; ++nth) {
          FakeNccl nccl;
          nccl.FailCall("ncclAllReduce", rank, nth, NcclResult::kSystemError);
          MemoryRendezvousStore store;
          // A rank that fails at once would break the others' Connect.
          auto* const connected = new absl::Barrier(world_size);
          std::vector<std::thread> threads;
          for (int r = 0; r < world_size; ++r) {
            threads.emplace_back([&, r] {
              NcclCollective collective(
                  {.rank = r, .world_size = world_size, .timeout = absl::Hours(1)}, &nccl,
                  &device_);
              EXPECT_TRUE(collective.Connect(&store).ok());
              if (connected->Block()) delete connected;
              Array<float> gradients(&device_, true, std::vector<float>(kFloats, 1.0f));
              GradientReducer reducer(gradients.span(), bucket, &collective);
              const absl::Status status = reducer.Finish();
              EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
              // Broken for good.
              EXPECT_EQ(collective.AllReduceSum(gradients.span()), status);
              for (size_t i = nth * bucket; i < kFloats; ++i) {
                EXPECT_EQ(gradients.data()[i], 1.0f);
              }
            });
          }
          for (std::thread& thread : threads) thread.join();
          EXPECT_THAT(nccl.misuses(), IsEmpty());
          EXPECT_EQ(nccl.open_communicators(), 0);
        }
      }
    }
  }
}

TEST_F(NcclCollectiveTest, ErrorsAreNamed) {
  nccl_.FailCall("ncclReduce", 0, 0, NcclResult::kInvalidArgument);
  Connected(1, [](NcclCollective* collective) {
    std::vector<float> mine(2), partial(2);
    const absl::Status status = collective->ReduceScatter(partial, {2}, absl::MakeSpan(mine));
    EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("ncclReduce of a reduce-scatter on rank 0 of 1: NCCL result 4"));
  });
}

TEST_F(NcclCollectiveTest, InitialisationThatFailsEndsTheOthers) {
  nccl_.FailCall("ncclCommInitRankConfig", 1, 0, NcclResult::kUnhandledCudaError);
  Ranks(
      2,
      [&](NcclCollective* collective, RendezvousStore* store) {
        const absl::Status status = collective->Connect(store);
        EXPECT_EQ(status.code(), collective->rank() == 1 ? absl::StatusCode::kInternal
                                                         : absl::StatusCode::kDeadlineExceeded)
            << status;
      },
      absl::Milliseconds(200));
}

TEST_F(NcclCollectiveTest, AnAbsentRankIsMissedAtTheDeadline) {
  MemoryRendezvousStore store;
  NcclCollective lonely({.rank = 1, .world_size = 2, .timeout = absl::Milliseconds(20)}, &nccl_,
                        &device_);
  const absl::Status no_id = lonely.Connect(&store);
  EXPECT_EQ(no_id.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(no_id.message()), HasSubstr("nccl/id"));

  NcclCollective first({.rank = 0, .world_size = 2, .timeout = absl::Milliseconds(20)}, &nccl_,
                       &device_);
  const absl::Status status = first.Connect(&store);
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("ncclCommInitRankConfig on rank 0 of 2 waited"));
}

TEST_F(NcclCollectiveTest, ACallThatNeverEndsMeetsTheDeadline) {
  nccl_.FailCall("ncclAllReduce", 0, 0, NcclResult::kInProgress);
  Connected(
      2,
      [&](NcclCollective* collective) {
        float one = 1;
        const absl::Status status = collective->AllReduceSum(absl::MakeSpan(&one, 1));
        EXPECT_TRUE(absl::IsDeadlineExceeded(status) || absl::IsUnavailable(status)) << status;
      },
      absl::Milliseconds(200));
}

// Over NVLink a dead peer makes no error: only Abort, or the deadline, ends the wait.
TEST_F(NcclCollectiveTest, AbortFromAnotherThreadEndsAWaitThatNothingElseEnds) {
  nccl_.HideAborts();
  auto* const connected = new absl::Barrier(2);
  Connected(
      2,
      [&](NcclCollective* collective) {
        if (connected->Block()) delete connected;
        if (collective->rank() == 1) return collective->Abort();
        std::thread aborter([&] {
          while (nccl_.calls("ncclAllReduce") == 0) std::this_thread::yield();
          collective->Abort();
        });
        float one = 1;
        EXPECT_EQ(collective->AllReduceSum(absl::MakeSpan(&one, 1)).code(),
                  absl::StatusCode::kAborted);
        aborter.join();
        EXPECT_EQ(collective->AllReduceSum(absl::MakeSpan(&one, 1)).code(),
                  absl::StatusCode::kAborted);
      },
      absl::Hours(1));
}

TEST_F(NcclCollectiveTest, ACancelledRendezvousEnds) {
  MemoryRendezvousStore store;
  NcclCollective collective({.rank = 1, .world_size = 2, .timeout = absl::Hours(1)}, &nccl_,
                            &device_);
  std::thread canceller([&] {
    collective.Abort();
    store.Cancel();
  });
  EXPECT_EQ(collective.Connect(&store).code(), absl::StatusCode::kAborted);
  canceller.join();
}

TEST_F(NcclCollectiveTest, WithoutDeviceMemoryTheCallFails) {
  device_.arena()->SetLimit(0);
  Connected(1, [](NcclCollective* collective) {
    float one = 1;
    EXPECT_EQ(collective->AllReduceSum(absl::MakeSpan(&one, 1)).code(),
              absl::StatusCode::kResourceExhausted);
  });
}

}  // namespace
}  // namespace navit
