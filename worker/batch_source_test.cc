#include "worker/batch_source.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "worker/fake_coordinator.h"
#include "worker/fake_packer.h"
#include "worker/tiny_job.h"

namespace navit {
namespace {

class BatchSourceTest : public testing::Test {
 protected:
  BatchSourceTest() { options_.job = TinyJob(testing::TempDir()); }

  void Start(uint64_t generation = 1) {
    coordinator_ = std::make_unique<FakeCoordinator>(options_);
    RunClientOptions client;
    client.worker.set_name("w");
    client.job = options_.job.job();
    client.generation = generation;
    client_ = std::make_unique<RunClient>(
        grpc::CreateChannel(coordinator_->address(), grpc::InsecureChannelCredentials()), client);
  }

  FakeCoordinatorOptions options_;
  std::unique_ptr<FakeCoordinator> coordinator_;
  std::unique_ptr<RunClient> client_;
};

TEST_F(BatchSourceTest, GivesThisRanksPacksByStepAndThenTheEnd) {
  options_.steps = 2;
  Start();
  BatchSource source(client_.get(), {.rank = 1});
  for (uint64_t step = 1; step <= 2; ++step) {
    const auto packs = source.Next(step);
    ASSERT_TRUE(packs.ok()) << packs.status();
    ASSERT_TRUE(packs->has_value());
    EXPECT_EQ((*packs)->deal.step(), step);
    ASSERT_EQ((*packs)->packs.size(), 2);
    for (size_t i = 0; i < 2; ++i) {
      const uint64_t ordinal = (*packs)->deal.ranks(1).ordinals(i);
      EXPECT_EQ((*packs)->packs[i].payload(),
                TinyPack(options_.job, ordinal, v1::SPLIT_TRAIN).payload());
    }
  }
  const auto end = source.Next(3);
  ASSERT_TRUE(end.ok()) << end.status();
  EXPECT_FALSE(end->has_value());
}

TEST_F(BatchSourceTest, TakesWhatIsHereAndDoesNotWait) {
  options_.steps = 2;
  Start();
  BatchSource source(client_.get(), {.rank = 1});
  ASSERT_TRUE(source.Next(1).ok());
  std::optional<StepPacks> packs;
  // Dealt already, and on its way.
  while (!packs.has_value()) packs = source.TakeIfHere(2);
  EXPECT_EQ(packs->deal.step(), 2);
  EXPECT_EQ(packs->packs.size(), 2);
  EXPECT_EQ(source.queued().bytes, 0);
  EXPECT_FALSE(source.TakeIfHere(3).has_value());
  EXPECT_FALSE(source.Next(3)->has_value()) << "the end";
}

TEST_F(BatchSourceTest, GoesOnAtTheSameStepAfterARestart) {
  // The coordinator deals two steps beyond the recorded ones, which here are none.
  options_.steps = 2;
  Start();
  BatchSource source(client_.get(), {.rank = 0});
  ASSERT_TRUE(source.Next(1).ok());
  coordinator_->Restart();
  const auto packs = source.Next(2);
  ASSERT_TRUE(packs.ok()) << packs.status();
  ASSERT_TRUE(packs->has_value());
  EXPECT_EQ((*packs)->deal.step(), 2);
}

TEST_F(BatchSourceTest, RefusesAPackThatDoesNotMatchItsHash) {
  options_.corrupt_step = 2;
  Start();
  BatchSource source(client_.get(), {.rank = 0});
  EXPECT_TRUE(source.Next(1).ok());
  const absl::Status status = source.Next(2).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
}

TEST_F(BatchSourceTest, PacksComeFromAPackerUntilItFailsAndThenThroughTheRelay) {
  options_.steps = 2;
  FakePackerOptions failing;
  failing.fault = FakePackerOptions::kFlipsAByte;
  failing.good_requests = 1;
  FakePacker packer(failing);
  options_.keep = [&](const v1::PullReply& pack) { return packer.Keep(pack); };
  options_.packer = packer.address();
  Start();
  {
    BatchSource source(client_.get(), {.rank = 1});
    for (uint64_t step = 1; step <= 2; ++step) {
      const auto packs = source.Next(step);
      ASSERT_TRUE(packs.ok() && packs->has_value()) << packs.status();
      ASSERT_EQ((*packs)->packs.size(), 2u);
      for (size_t i = 0; i < 2; ++i) {
        const uint64_t ordinal = (*packs)->deal.ranks(1).ordinals(i);
        EXPECT_EQ((*packs)->packs[i].payload(),
                  TinyPack(options_.job, ordinal, v1::SPLIT_TRAIN).payload());
      }
    }
    EXPECT_FALSE(source.Next(3)->has_value());
  }
  // The first step, and the second one once.
  EXPECT_EQ(packer.requests(), 2u);
}

TEST_F(BatchSourceTest, AnOldGenerationEndsIt) {
  Start(/*generation=*/7);
  BatchSource source(client_.get(), {.rank = 0});
  EXPECT_EQ(source.Next(1).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(BatchSourceTest, CancelEndsTheWait) {
  Start();
  BatchSource source(client_.get(), {.rank = 0});
  ASSERT_TRUE(source.Next(1).ok());
  ASSERT_TRUE(source.Next(2).ok());
  // Step 3 is not dealt before step 1 is recorded, which nobody does.
  std::thread canceller([this] { client_->Cancel(); });
  EXPECT_EQ(source.Next(3).status().code(), absl::StatusCode::kCancelled);
  canceller.join();
}

TEST_F(BatchSourceTest, EvaluationGivesEachPackOnce) {
  Start();
  std::vector<std::string> got;
  const absl::Status status = PullEvaluation(client_.get(), /*rank=*/1, /*world_size=*/2,
                                             v1::SPLIT_VALIDATION, [&](const v1::Frame& pack) {
                                               got.push_back(pack.payload());
                                               return absl::OkStatus();
                                             });
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_EQ(got.size(), 2);
  EXPECT_EQ(got[0], TinyPack(options_.job, 1, v1::SPLIT_VALIDATION).payload());
  EXPECT_EQ(got[1], TinyPack(options_.job, 3, v1::SPLIT_VALIDATION).payload());
}

}  // namespace
}  // namespace navit
