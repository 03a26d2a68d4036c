// Grants, packs and wake-ups of the relay, as the coordinator decides them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "server/core/coordinator_fixture.h"
#include "server/core/limits.h"
#include "server/core/relay_ledger.h"

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
    header.set_split(leased_[pack.first].split());
    header.set_window(leased_[pack.first].window());
    header.set_index(pack.second);
    header.set_content_hash(pack.second + 1);
    const auto verdict = c_.OnPack(packer, header, MaxFrameBytes(submit_.spec()), now_);
    EXPECT_TRUE(verdict.ok()) << verdict.status();
    return verdict.ok() && verdict->keep;
  }
  // Time in which the trainer, the packer and another one are alive and keep what they have.
  void Pass(const v1::WorkerId& other, double seconds) {
    for (const double end = now_.steady + seconds; now_.steady < end;) {
      now_.steady += 0.5;
      for (const v1::WorkerId& packer : {packer_, other}) {
        v1::WorkerReport alive;
        *alive.mutable_worker() = packer;
        for (const auto& [lease, window] : leased_) alive.add_lease_epochs(lease);
        ASSERT_TRUE(c_.OnReport(alive, now_).ok());
      }
      Report(v1::TrainerState::RUNNING, 1);
      c_.Tick(now_);
    }
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

// A window that is planned each time, of indexes, but whose samples cannot be read. Only a pack
// shows that they can.
TEST_F(RelayTest, AWindowWhosePacksCannotBeMadeFailsTheJob) {
  StartGeneration();
  const auto lease = [&] {
    uint64_t newest = 0;
    for (const auto& [epoch, window] : leased_) {
      if (window.window() == 0) newest = epoch;
    }
    return newest;
  };
  const auto fail = [&](int times) {
    for (int i = 0; i < times; ++i) {
      ASSERT_EQ(c_.Get("j")->state(), v1::RUNNING) << i;
      v1::FinishWorkRequest finish;
      *finish.mutable_worker() = packer_;
      finish.set_lease_epoch(lease());
      finish.mutable_failure()->set_message("a.tar: vanished");
      ASSERT_TRUE(c_.FinishWork(finish, now_).ok());
      if (c_.Get("j")->state() == v1::RUNNING) Work();
    }
  };
  const int most = static_cast<int>(CoordinatorOptions().max_work_failures);
  fail(most - 1);
  ASSERT_FALSE(Granted(packer_, stream_).empty());
  ASSERT_TRUE(Deliver(packer_, {lease(), 0}));
  fail(most);
  EXPECT_EQ(c_.Get("j")->state(), v1::FAILED);
  EXPECT_EQ(c_.Get("j")->reason(), "packer p: a.tar: vanished");
}

// Every credit is taken, and the packer that owes a pack of the oldest step stops without a word.
TEST_F(RelayTest, AMissingPackOfTheOldestStepIsMadeByAnotherPacker) {
  const v1::WorkerId other = AddPacker("q");
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

// A packer that is alive, keeps its leases, and delivers nothing more.
TEST_F(RelayTest, WindowsOfALatePackerAreLeasedTwiceAndTheFirstCopyWins) {
  const v1::WorkerId other = AddPacker("q");
  const uint64_t others_stream = *c_.OpenPush(other, now_);
  StartGeneration();
  Work(other);
  const auto packs = Granted(packer_, stream_);
  const auto others = Granted(other, others_stream);
  const auto owed = packs.back();
  for (size_t i = 0; i + 1 < packs.size(); ++i) ASSERT_TRUE(Deliver(packer_, packs[i]));
  for (const auto& pack : others) ASSERT_TRUE(Deliver(other, pack));
  Pass(other, 4);
  Work(other);
  EXPECT_TRUE(Granted(other, others_stream).empty());
  EXPECT_EQ(c_.counters().packs_hedged, 0u);
  Pass(other, 2);
  Work(packer_);  // Not for the late one itself.
  Work(other);
  const auto hedged = Granted(other, others_stream);
  ASSERT_EQ(hedged.size(), 1u);
  EXPECT_NE(hedged[0].first, owed.first);
  EXPECT_EQ(leased_[hedged[0].first].window(), leased_[owed.first].window());
  EXPECT_EQ(hedged[0].second, owed.second);
  EXPECT_EQ(c_.counters().packs_hedged, 1u);
  EXPECT_TRUE(Granted(other, others_stream).empty());
  // Room for the pack is charged once.
  EXPECT_EQ(c_.gauges(now_).relay.at("j").granted_packs, 1u);

  ASSERT_TRUE(Deliver(other, hedged[0]));
  EXPECT_TRUE(Ready(1));
  EXPECT_FALSE(Deliver(packer_, owed));
  EXPECT_EQ(c_.counters().packs_duplicate, 1u);
  // It delivers again, and is not late any more.
  Pass(other, 6);
  EXPECT_EQ(c_.counters().packs_hedged, 1u);
}

// A packer that is alive, keeps its leases, and has no stream for packs any more.
TEST_F(RelayTest, WindowsOfAPackerWithoutAStreamAreLeasedTwice) {
  const v1::WorkerId other = AddPacker("q");
  const uint64_t others_stream = *c_.OpenPush(other, now_);
  StartGeneration();
  Work(other);
  const auto packs = Granted(packer_, stream_);
  for (const auto& pack : Granted(other, others_stream)) ASSERT_TRUE(Deliver(other, pack));
  ASSERT_FALSE(packs.empty());
  EXPECT_FALSE(Ready(1));
  c_.ClosePush(packer_, stream_);
  Pass(other, 4);
  Work(other);
  EXPECT_TRUE(Granted(other, others_stream).empty());
  Pass(other, 2);
  Work(other);
  for (const auto& pack : Granted(other, others_stream)) ASSERT_TRUE(Deliver(other, pack));
  EXPECT_TRUE(Ready(1));
}

// Two steps, so that nothing is left to grant when the first one is committed.
class TwoStepsTest : public RelayTest {
 protected:
  TwoStepsTest() { submit_.mutable_spec()->mutable_train_for()->set_steps(2); }
};

// That one of its windows is committed, and its lease goes, is no sign of life of a packer.
TEST_F(TwoStepsTest, ALatePackerStaysLateWhenItsOtherWindowIsCommitted) {
  StartGeneration();
  const auto packs = Granted(packer_, stream_);
  ASSERT_EQ(packs.size(), 6u);
  for (size_t i = 0; i < 4; ++i) ASSERT_TRUE(Deliver(packer_, packs[i]));
  const v1::WorkerId other = AddPacker("q");
  const uint64_t others_stream = *c_.OpenPush(other, now_);
  v1::ReportStepsRequest request;
  *request.mutable_worker() = trainer_;
  request.set_job("j");
  request.set_generation(1);
  v1::StepReport* step = request.add_steps();
  step->set_generation(1);
  step->set_step(1);
  step->set_packs(3);
  step->set_packs_digest(PacksDigest({{0, 1}, {1, 2}, {2, 3}}));
  ASSERT_TRUE(c_.ReportSteps(request, now_).ok());
  ASSERT_EQ(c_.Get("j")->committed_step(), 1u);
  EXPECT_TRUE(Granted(packer_, stream_).empty());
  Pass(other, 6);
  Work(other);
  const auto hedged = Granted(other, others_stream);
  ASSERT_EQ(hedged.size(), 2u);
  for (const auto& pack : hedged) ASSERT_TRUE(Deliver(other, pack));
  EXPECT_TRUE(Ready(2));
}

// The packs of a window that failed were not to come: the packer has its time again for the rest.
TEST_F(TwoStepsTest, APackerThatFailedAtOneWindowIsLateWithTheOther) {
  StartGeneration();
  const auto packs = Granted(packer_, stream_);
  ASSERT_EQ(packs.size(), 6u);
  for (const size_t i : {0, 1, 3, 4}) ASSERT_TRUE(Deliver(packer_, packs[i]));
  const v1::WorkerId other = AddPacker("q");
  const uint64_t others_stream = *c_.OpenPush(other, now_);
  Pass(other, 4);
  v1::FinishWorkRequest finish;
  *finish.mutable_worker() = packer_;
  finish.set_lease_epoch(packs[0].first);
  finish.mutable_failure()->set_message("a.tar: a read failed");
  ASSERT_TRUE(c_.FinishWork(finish, now_).ok());
  EXPECT_TRUE(Granted(packer_, stream_).empty());
  Work(other);
  auto others = Granted(other, others_stream);
  ASSERT_EQ(others.size(), 1u);
  ASSERT_TRUE(Deliver(other, others[0]));
  EXPECT_TRUE(Ready(1));
  Pass(other, 4);
  Work(other);
  EXPECT_TRUE(Granted(other, others_stream).empty());
  Pass(other, 2);
  Work(other);
  others = Granted(other, others_stream);
  ASSERT_EQ(others.size(), 1u);
  ASSERT_TRUE(Deliver(other, others[0]));
  EXPECT_TRUE(Ready(2));
}

// Evaluations wait for packs too: of a packer that has planned the window and delivers nothing, and
// of one that does not even plan it.
TEST_F(TwoStepsTest, EvaluationWindowsOfALatePackerAreLeasedTwice) {
  StartGeneration();
  for (const auto& pack : Granted(packer_, stream_)) ASSERT_TRUE(Deliver(packer_, pack));
  const v1::WorkerId other = AddPacker("q");
  const uint64_t others_stream = *c_.OpenPush(other, now_);
  v1::PullEvaluationRequest request;
  *request.mutable_worker() = trainer_;
  request.set_job("j");
  request.set_generation(1);
  request.set_world_size(1);
  request.set_split(v1::SPLIT_VALIDATION);
  for (const bool planned : {true, false}) {
    SCOPED_TRACE(planned);
    const auto evaluation = c_.OpenEvaluation(request, now_);
    ASSERT_TRUE(evaluation.ok());
    std::vector<std::pair<uint64_t, uint32_t>> owed;
    if (planned) {
      Work(packer_);
      owed = Granted(packer_, stream_);
      ASSERT_EQ(owed.size(), 3u);
    } else {
      ASSERT_TRUE(c_.LeaseWork(packer_, now_)->has_window());
    }
    Pass(other, 4);
    Work(other);
    EXPECT_TRUE(Granted(other, others_stream).empty());
    Pass(other, 2);
    Work(packer_);  // Not for the late one itself.
    EXPECT_TRUE(Granted(packer_, stream_).empty());
    Work(other);
    const auto hedged = Granted(other, others_stream);
    ASSERT_EQ(hedged.size(), 3u);
    EXPECT_TRUE(Granted(other, others_stream).empty());
    // The first copy wins.
    if (planned) {
      ASSERT_TRUE(Deliver(packer_, owed[0]));
    }
    EXPECT_EQ(Deliver(other, hedged[0]), !planned);
    for (size_t i = 1; i < hedged.size(); ++i) ASSERT_TRUE(Deliver(other, hedged[i]));
    for (uint32_t index = 0; index < 3; ++index) {
      const auto pack = c_.NextEvaluationPack(*evaluation);
      ASSERT_TRUE(pack.ok());
      ASSERT_EQ(pack->kind, EvaluationPack::kReady) << index;
      EXPECT_EQ(pack->key.index, index);
      c_.EvaluationPackSent(*evaluation, pack->key);
    }
    EXPECT_EQ(c_.NextEvaluationPack(*evaluation)->kind, EvaluationPack::kEnd);
    c_.CloseEvaluation(*evaluation);
  }
}

TEST_F(RelayTest, AHedgedPackMayComeFromEither) {
  RelayLedger ledger(40, 10);
  std::vector<uint64_t> dropped;
  const auto lease_of = [](uint64_t) -> std::optional<uint64_t> { return 1; };
  ASSERT_EQ(ledger.GrantMissing(2, 4, SIZE_MAX, lease_of, &dropped).size(), 4u);
  for (const uint64_t ordinal : {0, 1, 2}) EXPECT_TRUE(ledger.Hedge(ordinal, 2));
  EXPECT_FALSE(ledger.Hedge(0, 3)) << "hedged already";
  EXPECT_EQ(ledger.Granted(1), 1u);
  EXPECT_EQ(ledger.Granted(2), 3u);
  EXPECT_EQ(ledger.charged_bytes(), 40u);
  EXPECT_EQ(*ledger.Arrive(0, 2, 10, PackCost()), RelayLedger::Arrival::kKept);
  EXPECT_EQ(*ledger.Arrive(0, 1, 10, PackCost()), RelayLedger::Arrival::kNotWanted);
  EXPECT_FALSE(ledger.Hedge(0, 3)) << "present";
  EXPECT_EQ(*ledger.Arrive(1, 1, 10, PackCost()), RelayLedger::Arrival::kKept);
  EXPECT_EQ(*ledger.Arrive(1, 2, 10, PackCost()), RelayLedger::Arrival::kNotWanted);
  PackCost other;
  other.content_hash = 5;
  EXPECT_TRUE(absl::IsDataLoss(ledger.Arrive(1, 2, 10, other).status()));
  // The second holder goes: the pack is missing again.
  EXPECT_EQ(ledger.Revoke(2), 1u);
  EXPECT_FALSE(ledger.LeaseOf(2).has_value());
  EXPECT_EQ(ledger.charged_bytes(), 30u);
}

}  // namespace
}  // namespace navit
