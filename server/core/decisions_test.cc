// The pure decisions: order, deal, ledger, leases, scheduler, shard lists.
#include <gtest/gtest.h>

#include <map>
#include <numeric>
#include <random>

#include "server/core/deal.h"
#include "server/core/indexing.h"
#include "server/core/leases.h"
#include "server/core/limits.h"
#include "server/core/pack_order.h"
#include "server/core/relay_ledger.h"
#include "server/core/scheduler.h"

namespace navit {
namespace {

v1::GroupPlanned Group(uint64_t number, uint64_t first_pack, std::vector<uint32_t> packs) {
  v1::GroupPlanned group;
  group.set_group(number);
  group.set_first_pack(first_pack);
  for (uint32_t n : packs) {
    group.add_window_packs(n);
    group.add_window_digests(n);
  }
  return group;
}

TEST(PackOrder, TakesWindowsInTurns) {
  PackOrder order(3);
  order.Append(Group(0, 0, {2, 0, 3}));
  order.Append(Group(1, 5, {0, 0, 0}));
  order.Append(Group(2, 5, {1, 4}));
  ASSERT_EQ(order.packs(), 10u);
  EXPECT_EQ(order.windows(), 8u);
  const std::vector<PackPlace> expected = {{0, 0}, {2, 0}, {0, 1}, {2, 1}, {2, 2},
                                           {6, 0}, {7, 0}, {7, 1}, {7, 2}, {7, 3}};
  for (uint64_t o = 0; o < expected.size(); ++o) {
    EXPECT_EQ(order.Locate(o), expected[o]) << o;
    EXPECT_EQ(order.Ordinal(expected[o].window, expected[o].index), o);
  }
  EXPECT_EQ(order.NextOrdinal(0, 1), 2u);
  EXPECT_EQ(order.NextOrdinal(0, 3), UINT64_MAX);
  EXPECT_EQ(order.NextOrdinal(1, 0), UINT64_MAX);
  EXPECT_EQ(order.NextOrdinal(6, 0), 5u);
}

PackCost Cost(uint32_t tokens, uint64_t squares) {
  PackCost cost;
  cost.image_tokens = tokens;
  cost.sum_squares = squares;
  cost.examples = 3;
  cost.valid_examples = 2;
  cost.holes = 1;
  return cost;
}

TEST(Deal, GivesEveryPackToOneRankInRuns) {
  for (uint32_t world : {1, 2, 3, 5, 8}) {
    for (size_t n : {0, 1, 2, 7, 16}) {
      for (uint64_t step : {1, 2, 3}) {
        const v1::StepDeal deal = Deal(step, 100, std::vector<PackCost>(n, Cost(500, 9000)), world);
        ASSERT_EQ(deal.ranks_size(), static_cast<int>(world));
        std::vector<uint64_t> all;
        uint32_t most = 0, valid = 0;
        for (uint32_t r = 0; r < world; ++r) {
          const auto& ordinals = deal.ranks(r).ordinals();
          for (int i = 1; i < ordinals.size(); ++i) EXPECT_EQ(ordinals[i], ordinals[i - 1] + 1);
          all.insert(all.end(), ordinals.begin(), ordinals.end());
          most = std::max<uint32_t>(most, ordinals.size());
          valid += deal.rank_valid_examples(r);
        }
        std::sort(all.begin(), all.end());
        std::vector<uint64_t> expected(n);
        std::iota(expected.begin(), expected.end(), 100);
        EXPECT_EQ(all, expected);
        EXPECT_LE(most, (n + world - 1) / world);
        EXPECT_EQ(valid, 2 * n);
        EXPECT_EQ(deal.holes(), n);
      }
    }
  }
}

TEST(Deal, BalancesTokensAndSquares) {
  // One pack as dear as the other three together.
  const v1::StepDeal deal =
      Deal(2, 0, {Cost(300, 3000), Cost(100, 1000), Cost(100, 1000), Cost(100, 1000)}, 2);
  EXPECT_EQ(deal.ranks(0).ordinals_size(), 1);
  EXPECT_EQ(deal.ranks(1).ordinals_size(), 3);
  EXPECT_EQ(
      Deal(3, 0, {Cost(300, 3000), Cost(100, 1000), Cost(200, 2000)}, 2).ranks(1).ordinals_size(),
      1);
}

TEST(Deal, CaptionsCount) {
  // Images alike; the captions of the first pack are as dear as all else together.
  std::vector<PackCost> packs(6, Cost(100, 5000));
  EXPECT_EQ(Deal(2, 0, packs, 2).ranks(0).ordinals_size(), 3);
  packs[0].text_tokens = 500;
  EXPECT_EQ(Deal(2, 0, packs, 2).ranks(0).ordinals_size(), 1);
  // Of equal captions each pack has its share.
  for (PackCost& pack : packs) pack.text_tokens = 500;
  EXPECT_EQ(Deal(2, 0, packs, 2).ranks(0).ordinals_size(), 3);
}

// No deal at all has its dearest rank below max(mean load, dearest pack); runs cost at most one
// pack more than the mean.
TEST(Deal, TheDearestRankIsWithinOnePackOfTheMean) {
  std::mt19937_64 random(20241124);
  for (int round = 0; round < 2000; ++round) {
    const uint32_t world = 1 + random() % 9;
    const size_t n = random() % 40;
    std::vector<PackCost> packs;
    double tokens = 0, squares = 0;
    for (size_t i = 0; i < n; ++i) {
      const uint32_t t = random() % 577;
      // From all images of one token to a single image.
      packs.push_back(Cost(t, t + random() % (uint64_t{t} * t + 1)));
      tokens += packs.back().image_tokens;
      squares += packs.back().sum_squares;
    }
    const v1::StepDeal deal = Deal(round, 10, packs, world);
    EXPECT_EQ(deal.SerializeAsString(), Deal(round, 10, packs, world).SerializeAsString());
    const auto load = [&](const PackCost& p) {
      return p.image_tokens / (tokens + 1) + p.sum_squares / (squares + 1);
    };
    double total = 0, dearest_pack = 0;
    for (const PackCost& pack : packs) {
      total += load(pack);
      dearest_pack = std::max(dearest_pack, load(pack));
    }
    for (const auto& rank : deal.ranks()) {
      double sum = 0;
      for (const uint64_t ordinal : rank.ordinals()) sum += load(packs[ordinal - 10]);
      EXPECT_LE(sum, total / world + dearest_pack + 1e-3) << "round " << round;
    }
  }
}

TEST(RelayLedger, GrantsLowestFirstWithinTheBudget) {
  RelayLedger ledger(40, 10);
  std::vector<uint64_t> dropped;
  auto lease = [](uint64_t o) -> std::optional<uint64_t> { return 7 + o % 2; };
  auto grants = ledger.GrantMissing(2, 100, SIZE_MAX, lease, &dropped);
  ASSERT_EQ(grants.size(), 4u);
  for (uint64_t i = 0; i < 4; ++i) EXPECT_EQ(grants[i].ordinal, i);
  EXPECT_EQ(*ledger.Arrive(0, 7, 4, PackCost()), RelayLedger::Arrival::kKept);
  EXPECT_EQ(*ledger.Arrive(0, 7, 4, PackCost()), RelayLedger::Arrival::kNotWanted);
  EXPECT_EQ(*ledger.Arrive(1, 99, 4, PackCost()), RelayLedger::Arrival::kNotWanted);
  EXPECT_EQ(*ledger.Arrive(50, 7, 4, PackCost()), RelayLedger::Arrival::kNotWanted);
  EXPECT_FALSE(ledger.Arrive(2, 7, 11, PackCost()).ok());
  EXPECT_EQ(ledger.present_bytes(), 4u);
  EXPECT_LE(ledger.charged_bytes(), 40u);
  EXPECT_EQ(ledger.Revoke(8), 2u);
  EXPECT_EQ(ledger.charged_bytes(), 14u);
}

TEST(RelayLedger, EvictsTheHighestToKeepRoomForTheOldestStep) {
  RelayLedger ledger(40, 10);
  std::vector<uint64_t> dropped;
  // Nobody can make packs 0 and 1 yet, and their room is kept: only two others are granted.
  auto later = [](uint64_t o) {
    return o < 2 ? std::optional<uint64_t>() : std::optional<uint64_t>(1);
  };
  EXPECT_EQ(ledger.GrantMissing(2, 100, SIZE_MAX, later, &dropped).size(), 2u);

  RelayLedger full(40, 10);
  auto all = [](uint64_t) -> std::optional<uint64_t> { return 1; };
  full.SetNextOrdinal(4);
  ASSERT_EQ(full.GrantMissing(6, 100, SIZE_MAX, all, &dropped).size(), 4u);
  for (uint64_t o : {4, 5, 6, 7}) ASSERT_TRUE(full.Arrive(o, 1, 10, PackCost()).ok());
  // Rolled back: packs 2 and 3 are wanted again, 7 and 6 make room, in this order.
  full.SetNextOrdinal(2);
  EXPECT_EQ(full.GrantMissing(4, 100, SIZE_MAX, all, &dropped).size(), 2u);
  EXPECT_EQ(dropped, (std::vector<uint64_t>{7, 6}));
  EXPECT_LE(full.charged_bytes(), 40u);
}

// Whatever was granted, arrived, died or was rolled back before: as long as packers deliver what
// they are granted, the oldest step becomes whole, within a budget of two steps.
TEST(RelayLedger, TheOldestStepAlwaysBecomesWhole) {
  for (uint64_t seed = 1; seed <= 2000; ++seed) {
    std::mt19937_64 random(seed);
    const uint64_t g = 1 + random() % 6;
    const uint64_t budget = 2 * g * 10;
    RelayLedger ledger(budget, 10);
    std::vector<uint64_t> dropped;
    std::map<uint64_t, uint64_t> on_the_way;  // Lease by ordinal.
    uint64_t leases = 1, committed = 0;
    const auto grant = [&](bool all_can) {
      const uint64_t oldest = committed * g;
      const auto lease_of = [&](uint64_t) -> std::optional<uint64_t> {
        return all_can || random() % 3 != 0 ? std::optional<uint64_t>(leases) : std::nullopt;
      };
      for (const auto& [ordinal, lease] :
           ledger.GrantMissing(oldest + g, oldest + 8 * g, SIZE_MAX, lease_of, &dropped)) {
        on_the_way[ordinal] = lease;
      }
      ASSERT_LE(ledger.charged_bytes(), budget) << "seed " << seed;
    };
    const auto deliver_one = [&] {
      const auto pack = std::next(on_the_way.begin(), random() % on_the_way.size());
      ASSERT_TRUE(ledger.Arrive(pack->first, pack->second, 1 + random() % 10, PackCost()).ok());
      on_the_way.erase(pack);
    };
    for (int event = 0; event < 60; ++event) {
      const uint64_t kind = random() % 10;
      if (kind == 0) {  // A packer dies with all that it was granted.
        ledger.Revoke(leases);
        std::erase_if(on_the_way, [&](const auto& pack) { return pack.second == leases; });
        ++leases;
      } else if (kind == 1 && ledger.AllPresent(committed * g, committed * g + g)) {
        ledger.SetNextOrdinal(++committed * g);
      } else if (kind == 2 && committed > 0) {  // Rolled back.
        committed -= 1 + random() % std::min<uint64_t>(committed, 3);
        ledger.SetNextOrdinal(committed * g);
      } else if (!on_the_way.empty() && kind < 7) {
        deliver_one();
      } else {
        grant(false);
      }
    }
    // Each round a pack arrives: so many are enough.
    for (uint64_t round = 0; round < 4 * g; ++round) {
      grant(true);
      if (!on_the_way.empty()) deliver_one();
    }
    EXPECT_TRUE(ledger.AllPresent(committed * g, committed * g + g)) << "seed " << seed;
  }
}

TEST(RelayLedger, RefusesOtherBytesForTheSamePack) {
  RelayLedger ledger(40, 10);
  std::vector<uint64_t> dropped;
  auto all = [](uint64_t) -> std::optional<uint64_t> { return 1; };
  ledger.GrantMissing(1, 2, SIZE_MAX, all, &dropped);
  PackCost cost;
  cost.content_hash = 5;
  ASSERT_TRUE(ledger.Arrive(0, 1, 10, cost).ok());
  cost.content_hash = 6;
  EXPECT_TRUE(absl::IsDataLoss(ledger.Arrive(0, 1, 10, cost).status()));
}

TEST(LeaseTable, ExpiresRenewsAndCarriesTheIncarnation) {
  LeaseTable leases;
  leases.SetIncarnation(3);
  WorkItem item;
  item.job = "a";
  const uint64_t epoch = leases.Grant(item, "p", 10, 100).epoch;
  EXPECT_EQ(epoch >> 32, 3u);
  EXPECT_EQ(leases.FindItem(item)->epoch, epoch);
  EXPECT_TRUE(leases.Expired(110).empty());
  EXPECT_EQ(leases.Expired(110.5).size(), 1u);
  EXPECT_FALSE(leases.Renew(epoch, "q", 105));
  EXPECT_TRUE(leases.Renew(epoch, "p", 105));
  EXPECT_TRUE(leases.Expired(114).empty());
  leases.Release(epoch);
  EXPECT_EQ(leases.Find(epoch), nullptr);
  EXPECT_EQ(leases.FindItem(item), nullptr);
  EXPECT_FALSE(leases.Renew(epoch, "p", 106));
  EXPECT_GT(leases.Grant(item, "p", 10, 100).epoch, epoch);
}

GangRequest Request(const char* job, int priority, double submitted, uint32_t min, uint32_t max) {
  GangRequest request;
  request.job = job;
  request.priority = priority;
  request.submitted_seconds = submitted;
  request.min_trainers = min;
  request.max_trainers = max;
  return request;
}

TEST(Scheduler, ServesByPriorityThenTimeAWholeGangOrNothing) {
  auto placements = Schedule(
      {Request("late", 0, 9, 1, 2), Request("early", 0, 1, 2, 3), Request("urgent", 5, 20, 4, 4)},
      4, 1, 300);
  ASSERT_EQ(placements.size(), 3u);
  EXPECT_EQ(placements[0].job, "urgent");
  EXPECT_EQ(placements[0].take, 4u);
  EXPECT_EQ(placements[1].job, "early");
  EXPECT_EQ(placements[1].take, 0u);
  EXPECT_EQ(placements[1].reason, "needs 2 trainers, has 0, 0 free");
}

TEST(Scheduler, BackfillsUntilTheEarlierJobHasWaitedLong) {
  GangRequest big = Request("big", 0, 1, 4, 4);
  GangRequest small = Request("small", 0, 2, 1, 1);
  EXPECT_EQ(Schedule({big, small}, 2, 1, 300)[1].take, 1u);
  big.waiting_seconds = 300;
  const auto placements = Schedule({big, small}, 2, 1, 300);
  EXPECT_EQ(placements[1].take, 0u);
  EXPECT_NE(placements[1].reason.find("big"), std::string::npos);
}

TEST(Scheduler, CountsSurvivorsAndWaitsForPackers) {
  GangRequest broken = Request("broken", 0, 1, 3, 3);
  broken.have = 2;
  EXPECT_EQ(Schedule({broken}, 5, 1, 300)[0].take, 1u);
  EXPECT_EQ(Schedule({broken}, 5, 0, 300)[0].take, 0u);
}

TEST(Indexing, FreezesShardsInOrderUnderOneHash) {
  auto build = [](std::vector<uint64_t> order) {
    Indexing indexing;
    v1::ShardList shards;
    shards.add_train("a");
    shards.add_train("b");
    shards.add_train_datasets(2);
    shards.add_validation("v");
    EXPECT_TRUE(indexing.SetShards(shards, 1, 0).ok());
    for (uint64_t i : order) {
      EXPECT_FALSE(indexing.done());
      v1::ShardEntry entry;
      entry.set_path(indexing.shard(i));
      entry.set_samples(10 + i);
      EXPECT_TRUE(indexing.SetEntry(i, entry, 0).ok());
    }
    EXPECT_TRUE(indexing.done());
    v1::DataManifest manifest;
    EXPECT_TRUE(indexing.Manifest(&manifest).ok());
    EXPECT_EQ(manifest.train_samples(), 21u);
    EXPECT_EQ(manifest.validation_samples(), 12u);
    return ManifestHash(manifest);
  };
  EXPECT_EQ(build({0, 1, 2}), build({2, 0, 1}));
  EXPECT_EQ(build({0, 1, 2}).size(), 32u);
  Indexing empty;
  EXPECT_FALSE(empty.SetShards(v1::ShardList(), 1, 0).ok());
}

TEST(Indexing, KeepsTheDatasetsOfAMixtureApart) {
  v1::ShardList shards;
  for (const char* shard : {"a", "b", "c"}) shards.add_train(shard);
  shards.add_validation("v");
  shards.add_train_datasets(1);
  shards.add_train_datasets(2);
  Indexing indexing;
  EXPECT_FALSE(indexing.SetShards(shards, 1, 0).ok());
  ASSERT_TRUE(indexing.SetShards(shards, 2, 0).ok());
  for (uint64_t i = 0; i < 4; ++i) {
    v1::ShardEntry entry;
    entry.set_path(indexing.shard(i));
    entry.set_samples(i);
    ASSERT_TRUE(indexing.SetEntry(i, entry, 0).ok());
  }
  v1::DataManifest manifest;
  EXPECT_EQ(indexing.Manifest(&manifest).message(), "data.train[0].shards hold no sample");
  v1::ShardEntry entry;
  entry.set_path("a");
  entry.set_samples(7);
  ASSERT_TRUE(indexing.SetEntry(0, entry, 0).ok());
  ASSERT_TRUE(indexing.Manifest(&manifest).ok());
  EXPECT_EQ(manifest.train_datasets(0).samples(), 7u);
  EXPECT_EQ(manifest.train_datasets(1).shards(), 2u);
  EXPECT_EQ(manifest.train_datasets(1).samples(), 3u);
  EXPECT_EQ(manifest.train_samples(), 10u);
  shards.set_train_datasets(1, 0);
  EXPECT_EQ(Indexing().SetShards(shards, 2, 0).message(), "data.train[1].shards names no shard");
}

TEST(Indexing, KnowsHowMuchIsDoneAndHowLongTheRestTakes) {
  v1::ShardList shards;
  for (int i = 0; i < 200; ++i) shards.add_train(absl::StrCat(i));
  shards.add_train_datasets(200);
  Indexing indexing;
  ASSERT_TRUE(indexing.SetShards(shards, 1, 1000).ok());
  EXPECT_EQ(indexing.remaining_seconds(), 0);
  double now = 1000;
  const auto finish = [&](uint64_t shard, double seconds) {
    v1::ShardEntry entry;
    entry.set_path(absl::StrCat(shard));
    entry.set_bytes(10);
    now += seconds;
    ASSERT_TRUE(indexing.SetEntry(shard, entry, now).ok());
  };
  // Sidecars that were there pass quickly; then shards are read.
  for (uint64_t i = 0; i < 64; ++i) finish(i, 0.01);
  EXPECT_NEAR(indexing.remaining_seconds(), 136 * 0.01, 1e-9);
  for (uint64_t i = 64; i < 128; ++i) finish(i, 5);
  EXPECT_NEAR(indexing.remaining_seconds(), 72 * 5, 1e-9);
  EXPECT_EQ(indexing.indexed_bytes(), 1280u);
  finish(127, 0);  // A result that comes twice.
  EXPECT_EQ(indexing.indexed_bytes(), 1280u);
  EXPECT_NEAR(indexing.remaining_seconds(), 72 * 5, 1e-9);
  for (uint64_t i = 128; i < 200; ++i) finish(i, 1);
  EXPECT_EQ(indexing.remaining_seconds(), 0);
  EXPECT_EQ(indexing.shards_indexed(), 200u);
}

}  // namespace
}  // namespace navit
