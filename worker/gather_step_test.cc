#include "worker/gather_step.h"

#include <gtest/gtest.h>

#include <mutex>
#include <vector>

#include "common/packs_digest.h"
#include "worker/collective_threads.h"

namespace navit {
namespace {

// Three packs, two on rank 0 and one on rank 1; rank 2 has none.
v1::StepDeal Deal() {
  v1::StepDeal deal;
  deal.set_step(7);
  deal.set_image_tokens(100);
  for (int rank = 0; rank < 3; ++rank) deal.add_ranks();
  deal.mutable_ranks(0)->add_ordinals(18);
  deal.mutable_ranks(0)->add_ordinals(20);
  deal.mutable_ranks(1)->add_ordinals(19);
  return deal;
}

OwnStep Own(const StepPacks& packs, int rank) {
  OwnStep own;
  own.packs = &packs;
  own.useful_flops = 10 + rank;
  own.so_far = absl::Milliseconds(100 * (rank + 1));
  own.own_work = absl::Milliseconds(50 - 10 * rank);
  return own;
}

TEST(GatherStepTest, EveryRankHasTheWholeStep) {
  std::mutex mutex;
  int ranks = 0;
  RunRanks(3, [&](Collective* collective) {
    StepPacks packs{Deal(), {}};
    for (const uint64_t ordinal : packs.deal.ranks(collective->rank()).ordinals()) {
      packs.packs.emplace_back().mutable_header()->set_content_hash(1000 + ordinal);
    }
    const absl::StatusOr<GatheredStep> step =
        GatherStep(Own(packs, collective->rank()), collective);
    std::lock_guard<std::mutex> lock(mutex);
    ASSERT_TRUE(step.ok()) << step.status();
    EXPECT_EQ(step->report.step(), 7);
    EXPECT_EQ(step->report.packs(), 3);
    EXPECT_EQ(step->report.packs_digest(), PacksDigest({{18, 1018}, {19, 1019}, {20, 1020}}));
    EXPECT_EQ(step->report.image_tokens(), 100);
    EXPECT_EQ(step->report.useful_flops(), 33);
    EXPECT_DOUBLE_EQ(step->report.seconds(), 0.3);
    EXPECT_EQ(step->lag, absl::Milliseconds(20 - 10 * collective->rank()));
    ++ranks;
  });
  EXPECT_EQ(ranks, 3);
}

TEST(GatherStepTest, ADealForOtherRanksIsRefused) {
  RunRanks(2, [](Collective* collective) {
    const StepPacks packs{Deal(), {}};
    EXPECT_EQ(GatherStep(Own(packs, collective->rank()), collective).status().message(),
              "step 7 was dealt to 3 ranks, there are 2");
  });
}

}  // namespace
}  // namespace navit
