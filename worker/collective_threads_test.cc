#include "worker/collective_threads.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace navit {
namespace {

using ::testing::ElementsAre;

TEST(ThreadCollective, EveryOperation) {
  for (const int world_size : {1, 2, 3, 5}) {
    RunRanks(world_size, [&](Collective* collective) {
      const int rank = collective->rank();
      ASSERT_EQ(collective->world_size(), world_size);
      const float total = static_cast<float>(world_size * (world_size + 1)) / 2;

      std::vector<float> floats = {static_cast<float>(rank + 1), 1};
      ASSERT_TRUE(collective->AllReduceSum(absl::MakeSpan(floats)).ok());
      EXPECT_THAT(floats, ElementsAre(total, static_cast<float>(world_size)));
      double one = 0.5;
      ASSERT_TRUE(collective->AllReduceSum(absl::MakeSpan(&one, 1)).ok());
      EXPECT_EQ(one, 0.5 * world_size);
      std::vector<float> largest = {static_cast<float>(-rank), static_cast<float>(rank)};
      ASSERT_TRUE(collective->AllReduceMax(absl::MakeSpan(largest)).ok());
      EXPECT_THAT(largest, ElementsAre(0, static_cast<float>(world_size - 1)));

      // Rank r gives r elements of value r; rank 0 none.
      std::vector<size_t> counts;
      std::vector<float> expected;
      for (int r = 0; r < world_size; ++r) {
        counts.push_back(r);
        expected.insert(expected.end(), r, static_cast<float>(r));
      }
      const std::vector<float> mine(rank, static_cast<float>(rank));
      std::vector<float> all(expected.size());
      ASSERT_TRUE(collective->AllGather(mine, counts, absl::MakeSpan(all)).ok());
      EXPECT_EQ(all, expected);
      std::vector<float> block(rank);
      ASSERT_TRUE(collective->ReduceScatter(all, counts, absl::MakeSpan(block)).ok());
      EXPECT_EQ(block, std::vector<float>(rank, static_cast<float>(rank * world_size)));

      std::string text = rank == world_size - 1 ? "hello" : "     ";
      ASSERT_TRUE(collective->Broadcast(absl::MakeSpan(text.data(), 5), world_size - 1).ok());
      EXPECT_EQ(text, "hello");
    });
  }
}

TEST(ThreadCollective, ASingleRankTouchesNoValues) {
  // As memory of a device would be: an address that this process cannot read.
  const absl::Span<float> elsewhere(reinterpret_cast<float*>(64), 8);
  EXPECT_TRUE(MakeThreadCollectives(1)[0]->AllReduceSum(elsewhere).ok());
}

TEST(ThreadCollective, ARankThatIsGoneFailsTheOthers) {
  auto ranks = MakeThreadCollectives(2);
  ranks[1].reset();
  float value = 1;
  EXPECT_EQ(ranks[0]->AllReduceSum(absl::MakeSpan(&value, 1)).code(),
            absl::StatusCode::kUnavailable);
}

TEST(ThreadCollective, DifferentCallsAreAnErrorOnBothRanks) {
  RunRanks(2, [&](Collective* collective) {
    std::vector<float> values(collective->rank() + 1);
    EXPECT_FALSE(collective->AllReduceSum(absl::MakeSpan(values)).ok());
  });
}

}  // namespace
}  // namespace navit
