// Grants, packs and wake-ups of the relay, as the coordinator decides them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "server/core/coordinator_fixture.h"
#include "server/core/limits.h"

namespace navit {
namespace {

// A window has three packs and a step takes them all; the budget is two steps.
class RelayTest : public CoordinatorTest {
 protected:
  RelayTest() {
    v1::JobSpec& spec = *submit_.mutable_spec();
    spec.mutable_packing()->set_sequences_per_step(3);
    spec.mutable_train_for()->clear_epochs();
    spec.mutable_train_for()->set_steps(9);
    spec.mutable_budgets()->set_relay_bytes(2 * 3 * MaxFrameBytes(spec));
  }
  // Packs that `packer` is granted now, as (lease, index).
  std::vector<std::pair<uint64_t, uint32_t>> Granted(const v1::WorkerId& packer, uint64_t stream) {
    std::vector<std::pair<uint64_t, uint32_t>> packs;
    const auto reply = c_.NextGrants(packer, stream, now_);
    EXPECT_TRUE(reply.ok()) << reply.status();
    for (const auto& grant : reply->grants()) {
      for (uint32_t index : grant.indexes()) packs.emplace_back(grant.lease_epoch(), index);
    }
    return packs;
  }
  // A pack of the largest size arrives.
  bool Deliver(const v1::WorkerId& packer, const std::pair<uint64_t, uint32_t>& pack) {
    v1::PackHeader header;
    header.set_job("j");
    header.set_lease_epoch(pack.first);
    header.set_window(leased_[pack.first].window());
    header.set_index(pack.second);
    header.set_content_hash(pack.second + 1);
    const auto verdict = c_.OnPack(packer, header, MaxFrameBytes(submit_.spec()), now_);
    EXPECT_TRUE(verdict.ok()) << verdict.status();
    return verdict.ok() && verdict->keep;
  }
  bool Ready(uint64_t step) { return c_.NextStep("j", 1, 0, step)->kind == StepForRank::kReady; }
};

// Waking every stream for every pack would cost more than forwarding it.
TEST_F(RelayTest, APackWakesWaitingStreamsOnlyWhenItCompletesAStep) {
  StartGeneration();
  const auto packs = Granted(packer_, stream_);
  ASSERT_EQ(packs.size(), 6u);
  // The second step's packs and two of the first: nobody has something to do.
  for (const size_t i : {4, 3, 2, 0}) {
    const uint64_t before = c_.revision();
    ASSERT_TRUE(Deliver(packer_, packs[i]));
    EXPECT_EQ(c_.revision(), before) << i;
  }
  EXPECT_FALSE(Ready(1));
  uint64_t before = c_.revision();
  ASSERT_TRUE(Deliver(packer_, packs[1]));
  EXPECT_NE(c_.revision(), before);
  EXPECT_TRUE(Ready(1));
  EXPECT_FALSE(Ready(2));
  before = c_.revision();
  ASSERT_TRUE(Deliver(packer_, packs[5]));
  EXPECT_NE(c_.revision(), before);
  EXPECT_TRUE(Ready(2));
}

// Every credit is taken, and the packer that owes a pack of the oldest step stops without a word.
TEST_F(RelayTest, AMissingPackOfTheOldestStepIsMadeByAnotherPacker) {
  v1::WorkerId other;
  other.set_name("q");
  other.set_incarnation(1);
  v1::RegisterRequest request;
  *request.mutable_worker() = other;
  request.set_role(v1::PACKER);
  ASSERT_TRUE(c_.Register(request, now_).ok());
  const uint64_t others_stream = *c_.OpenPush(other, now_);
  StartGeneration();
  Work(other);
  auto packs = Granted(packer_, stream_);
  const auto others = Granted(other, others_stream);
  ASSERT_EQ(packs.size(), 3u);
  ASSERT_EQ(others.size(), 3u);
  const auto owed = packs.front();
  ASSERT_EQ(leased_[owed.first].window(), 0u);
  for (size_t i = 1; i < packs.size(); ++i) ASSERT_TRUE(Deliver(packer_, packs[i]));
  for (const auto& pack : others) ASSERT_TRUE(Deliver(other, pack));
  EXPECT_FALSE(Ready(1));
  const auto why = c_.Explain("j", now_);
  ASSERT_TRUE(why.ok());
  EXPECT_THAT(why->lines(), testing::Contains(testing::HasSubstr("step 1 lacks packs: 1 of p;")));
  // No room for anything else, and no second grant of what is granted.
  EXPECT_EQ(c_.gauges(now_).relay.at("j").granted_packs, 1u);
  EXPECT_TRUE(Granted(other, others_stream).empty());

  // Its lease runs out; whoever lives takes the window.
  for (int i = 0; i < 12; ++i) {
    now_.steady += 1;
    v1::WorkerReport alive;
    *alive.mutable_worker() = other;
    for (const auto& [lease, window] : leased_) alive.add_lease_epochs(lease);
    ASSERT_TRUE(c_.OnReport(alive, now_).ok());
    Report(v1::TrainerState::RUNNING, 1);
    c_.Tick(now_);
  }
  Work(other);
  packs = Granted(other, others_stream);
  ASSERT_EQ(packs.size(), 1u);
  EXPECT_EQ(leased_[packs[0].first].window(), 0u);
  EXPECT_EQ(packs[0].second, owed.second);
  ASSERT_TRUE(Deliver(other, packs[0]));
  EXPECT_TRUE(Ready(1));
  EXPECT_TRUE(Ready(2));
}

}  // namespace
}  // namespace navit
