#include "worker/gloo_collective.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <random>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "worker/rendezvous_memory.h"

namespace navit {
namespace {

constexpr int kWorldSizes[] = {1, 2, 3, 5};
constexpr size_t kSizes[] = {0, 1, 2, 4, 7, 1000, 70001};

// Runs `body` on connected ranks, one thread each.
void RunGloo(int world_size, const std::function<void(GlooCollective*)>& body,
             absl::Duration timeout = absl::Seconds(60), PortRange ports = {},
             MemoryRendezvousStore* shared_store = nullptr) {
  MemoryRendezvousStore own_store;
  MemoryRendezvousStore& store = shared_store != nullptr ? *shared_store : own_store;
  std::vector<std::thread> threads;
  for (int rank = 0; rank < world_size; ++rank) {
    threads.emplace_back([&, rank] {
      GlooCollective collective(
          {.rank = rank, .world_size = world_size, .ports = ports, .timeout = timeout});
      const absl::Status connected = collective.Connect(&store);
      ASSERT_TRUE(connected.ok()) << connected;
      body(&collective);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

std::vector<float> Values(int rank, size_t size) {
  std::mt19937 random(17 * rank + 1);
  std::normal_distribution<float> normal;
  std::vector<float> values(size);
  for (float& value : values) value = normal(random);
  return values;
}

uint64_t Bits(const std::vector<float>& values) {
  uint64_t bits = 1469598103934665603u;
  for (float value : values) {
    uint32_t word;
    std::memcpy(&word, &value, sizeof(word));
    bits = (bits ^ word) * 1099511628211u;
  }
  return bits;
}

TEST(GlooCollectiveTest, AllReduceSumsAndGivesAllRanksTheSameBitsInEveryRun) {
  for (int world_size : kWorldSizes) {
    std::vector<uint64_t> first_run;
    for (int run = 0; run < 2; ++run) {
      std::vector<std::vector<uint64_t>> bits(world_size);
      RunGloo(world_size, [&](GlooCollective* collective) {
        for (size_t size : kSizes) {
          std::vector<float> values = Values(collective->rank(), size);
          ASSERT_TRUE(collective->AllReduceSum(absl::MakeSpan(values)).ok());
          std::vector<double> exact(size);
          for (int rank = 0; rank < world_size; ++rank) {
            const std::vector<float> part = Values(rank, size);
            for (size_t i = 0; i < size; ++i) exact[i] += part[i];
          }
          for (size_t i = 0; i < size; ++i) ASSERT_NEAR(values[i], exact[i], 1e-5);
          bits[collective->rank()].push_back(Bits(values));
        }
      });
      for (int rank = 1; rank < world_size; ++rank) EXPECT_EQ(bits[rank], bits[0]);
      if (run == 0) first_run = bits[0];
      EXPECT_EQ(bits[0], first_run);
    }
  }
}

TEST(GlooCollectiveTest, AllReduceOfDoublesAndMax) {
  for (int world_size : kWorldSizes) {
    RunGloo(world_size, [&](GlooCollective* collective) {
      const int rank = collective->rank();
      std::vector<double> doubles = {1e-300 * rank, 1.0 * rank, 1.0};
      ASSERT_TRUE(collective->AllReduceSum(absl::MakeSpan(doubles)).ok());
      EXPECT_EQ(doubles[1], world_size * (world_size - 1) / 2);
      EXPECT_EQ(doubles[2], world_size);
      std::vector<float> largest = {1.0f * rank, -1.0f * rank, -1.0f * world_size};
      ASSERT_TRUE(collective->AllReduceMax(absl::MakeSpan(largest)).ok());
      EXPECT_EQ(largest, (std::vector<float>{world_size - 1.0f, 0.0f, -1.0f * world_size}));
    });
  }
}

TEST(GlooCollectiveTest, AllGatherWithUnequalCounts) {
  for (int world_size : kWorldSizes) {
    RunGloo(world_size, [&](GlooCollective* collective) {
      // Rank 1 has nothing.
      std::vector<size_t> counts;
      std::vector<float> expected;
      std::vector<uint64_t> expected_words;
      for (int rank = 0; rank < world_size; ++rank) {
        counts.push_back(rank == 1 ? 0 : 100 * rank + 3);
        for (size_t i = 0; i < counts.back(); ++i) {
          expected.push_back(1000.0f * rank + i);
          expected_words.push_back((uint64_t{1} << 60) + 1000 * rank + i);
        }
      }
      std::vector<float> mine;
      std::vector<uint64_t> words;
      for (size_t i = 0; i < counts[collective->rank()]; ++i) {
        mine.push_back(1000.0f * collective->rank() + i);
        words.push_back((uint64_t{1} << 60) + 1000 * collective->rank() + i);
      }
      std::vector<float> all(expected.size(), -1);
      ASSERT_TRUE(collective->AllGather(mine, counts, absl::MakeSpan(all)).ok());
      EXPECT_EQ(all, expected);
      std::vector<uint64_t> all_words(expected.size());
      ASSERT_TRUE(collective->AllGather(words, counts, absl::MakeSpan(all_words)).ok());
      EXPECT_EQ(all_words, expected_words);
    });
  }
}

TEST(GlooCollectiveTest, ReduceScatterGivesEachRankItsBlock) {
  for (int world_size : kWorldSizes) {
    RunGloo(world_size, [&](GlooCollective* collective) {
      std::vector<size_t> counts;
      for (int rank = 0; rank < world_size; ++rank) counts.push_back(rank == 1 ? 0 : 50 * rank + 2);
      std::vector<float> partial;
      std::vector<float> expected;
      for (int rank = 0; rank < world_size; ++rank) {
        for (size_t i = 0; i < counts[rank]; ++i) {
          partial.push_back(100.0f * rank + i + collective->rank());
          if (rank != collective->rank()) continue;
          expected.push_back(world_size * (100.0f * rank + i) + world_size * (world_size - 1) / 2);
        }
      }
      std::vector<float> mine(counts[collective->rank()]);
      ASSERT_TRUE(collective->ReduceScatter(partial, counts, absl::MakeSpan(mine)).ok());
      EXPECT_EQ(mine, expected);
    });
  }
}

TEST(GlooCollectiveTest, BroadcastFromEveryRoot) {
  for (int world_size : kWorldSizes) {
    RunGloo(world_size, [&](GlooCollective* collective) {
      for (int root = 0; root < world_size; ++root) {
        for (size_t size : {size_t{0}, size_t{1}, (size_t{3} << 20) + 5}) {
          std::string bytes(size, '\0');
          if (collective->rank() == root) {
            for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 7 + root);
          }
          ASSERT_TRUE(collective->Broadcast(absl::MakeSpan(bytes), root).ok());
          for (size_t i = 0; i < size; i += 997) {
            ASSERT_EQ(bytes[i], static_cast<char>(i * 7 + root));
          }
        }
      }
      EXPECT_EQ(collective->Broadcast({}, world_size).code(),
                absl::StatusCode::kFailedPrecondition);
    });
  }
}

// The ports that `rank` published, one for each other rank.
std::vector<int> PublishedPorts(MemoryRendezvousStore* store, int rank) {
  const auto packed = store->Get({"gloo/" + std::to_string(rank)}, absl::Seconds(1));
  EXPECT_TRUE(packed.ok()) << packed.status();
  std::vector<int> ports;
  for (size_t at = 0; packed.ok() && at + 2 <= (*packed)[0].size();) {
    const std::string& bytes = (*packed)[0];
    const size_t size = static_cast<unsigned char>(bytes[at]) |
                        static_cast<size_t>(static_cast<unsigned char>(bytes[at + 1])) << 8;
    if (size > 0) {
      sockaddr_in address;
      std::memcpy(&address, bytes.data() + at + 2, sizeof(address));
      ports.push_back(ntohs(address.sin_port));
    }
    at += 2 + size;
  }
  return ports;
}

TEST(GlooCollectiveTest, ListensWithinItsRangeBesideOthers) {
  // Taken already: the ranks go round it, and round each other.
  const int taken = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(bind(taken, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(listen(taken, 1), 0);
  socklen_t size = sizeof(address);
  ASSERT_EQ(getsockname(taken, reinterpret_cast<sockaddr*>(&address), &size), 0);
  const int first = std::min<int>(ntohs(address.sin_port), 65535 - 400);
  const PortRange range = {first, first + 400};

  MemoryRendezvousStore store;
  RunGloo(
      3,
      [](GlooCollective* collective) {
        std::vector<float> ones(1000, 1.0f);
        ASSERT_TRUE(collective->AllReduceSum(absl::MakeSpan(ones)).ok());
        EXPECT_EQ(ones[999], 3.0f);
      },
      absl::Seconds(60), range, &store);
  for (int rank = 0; rank < 3; ++rank) {
    const std::vector<int> ports = PublishedPorts(&store, rank);
    EXPECT_EQ(ports.size(), 2u);
    for (int port : ports) {
      EXPECT_GE(port, range.first);
      EXPECT_LE(port, range.last);
      EXPECT_NE(port, ntohs(address.sin_port));
    }
  }
  close(taken);
}

TEST(GlooCollectiveTest, ARangeThatIsTooSmallIsNamed) {
  MemoryRendezvousStore store;
  GlooCollective collective({.rank = 0, .world_size = 3, .ports = {41999, 41999}});
  const absl::Status status = collective.Connect(&store);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("range 41999-41999"));
}

TEST(PortRangeTest, Parses) {
  const auto range = ParsePortRange("47000-47063");
  ASSERT_TRUE(range.ok());
  EXPECT_EQ(range->first, 47000);
  EXPECT_EQ(range->last, 47063);
  EXPECT_FALSE(ParsePortRange("")->fixed());
  for (const char* wrong : {"47000", "0-5", "9-8", "1-65536", "a-b", "1-2-3"}) {
    EXPECT_FALSE(ParsePortRange(wrong).ok()) << wrong;
  }
}

TEST(GlooCollectiveTest, RefusesCountsThatDoNotFit) {
  GlooCollective collective({.rank = 0, .world_size = 1});
  ASSERT_TRUE(collective.Connect(nullptr).ok());
  std::vector<float> mine(3), all(4);
  EXPECT_EQ(collective.AllGather(mine, {3}, absl::MakeSpan(all)).code(),
            absl::StatusCode::kFailedPrecondition);
}

// The deadline is far away: only the closed connections can end the survivors' calls.
TEST(GlooCollectiveTest, ADeadRankFailsAllOthers) {
  for (int world_size : {2, 3, 5}) {
    std::atomic<int> failed{0};
    RunGloo(
        world_size,
        [&](GlooCollective* collective) {
          std::vector<float> values(100000, 1.0f);
          ASSERT_TRUE(collective->AllReduceSum(absl::MakeSpan(values)).ok());
          if (collective->rank() == 1) return;
          absl::Status status = collective->AllReduceSum(absl::MakeSpan(values));
          ASSERT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
          // Broken for good.
          EXPECT_EQ(collective->AllReduceSum(absl::MakeSpan(values)), status);
          ++failed;
        },
        absl::Hours(1));
    EXPECT_EQ(failed, world_size - 1);
  }
}

TEST(GlooCollectiveTest, AbortEndsAPendingCallAndReachesTheOthersAsTheyClose) {
  absl::Notification aborted;
  std::thread aborter;
  RunGloo(
      3,
      [&](GlooCollective* collective) {
        std::vector<float> values(1000, 1.0f);
        // Once this is over all ranks are connected to all.
        ASSERT_TRUE(collective->AllReduceSum(absl::MakeSpan(values)).ok());
        if (collective->rank() == 0) {
          aborter = std::thread([collective] { collective->Abort(); });
          // Whether Abort comes before or in the call: Aborted.
          EXPECT_EQ(collective->AllReduceSum(absl::MakeSpan(values)).code(),
                    absl::StatusCode::kAborted);
          aborter.join();
          aborted.Notify();
        } else if (collective->rank() == 1) {
          EXPECT_EQ(collective->AllReduceSum(absl::MakeSpan(values)).code(),
                    absl::StatusCode::kUnavailable);
        } else {
          // Hangs until the abort has been seen, then closes. Rank 1 may wait for rank 0 or for
          // this rank: it fails by whichever goes first.
          aborted.WaitForNotification();
          collective->Abort();
        }
      },
      absl::Hours(1));
}

TEST(GlooCollectiveTest, AnAbsentRankFailsTheOthersAtTheDeadline) {
  absl::Notification done;
  RunGloo(
      2,
      [&](GlooCollective* collective) {
        std::vector<float> values(10, 1.0f);
        if (collective->rank() == 1) {
          done.WaitForNotification();
          return;
        }
        const absl::Status status = collective->AllReduceSum(absl::MakeSpan(values));
        EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
        EXPECT_NE(status.message().find("rank 1"), std::string::npos) << status;
        done.Notify();
      },
      absl::Seconds(1));
}

TEST(GlooCollectiveTest, ConnectNamesTheMissingRank) {
  MemoryRendezvousStore store;
  GlooCollective collective({.rank = 0, .world_size = 2, .timeout = absl::Milliseconds(20)});
  const absl::Status status = collective.Connect(&store);
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
  EXPECT_NE(status.message().find("gloo/1"), std::string::npos) << status;
}

TEST(GlooCollectiveTest, CancelledRendezvousEnds) {
  MemoryRendezvousStore store;
  GlooCollective collective({.rank = 0, .world_size = 2, .timeout = absl::Hours(1)});
  std::thread canceller([&] {
    collective.Abort();
    store.Cancel();
  });
  EXPECT_EQ(collective.Connect(&store).code(), absl::StatusCode::kAborted);
  canceller.join();
}

TEST(GlooCollectiveTest, AHostThatIsNotOursIsRefused) {
  MemoryRendezvousStore store;
  GlooCollective collective({.rank = 0, .world_size = 2, .host = "203.0.113.7"});
  EXPECT_EQ(collective.Connect(&store).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace navit
