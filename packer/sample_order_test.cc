#include "packer/sample_order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <utility>

namespace navit {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kSeed = 42;
constexpr uint64_t kWindow = 64;

// Two data sets: shards of 30 and 20 samples, and shards of 5, 7 and 1.
v1::DataManifest Manifest() {
  v1::DataManifest manifest;
  for (const uint64_t samples : {30, 20, 5, 7, 1}) {
    v1::ShardEntry* shard = manifest.add_train();
    shard->set_path("shard-" + std::to_string(manifest.train_size()));
    shard->set_samples(samples);
  }
  for (const auto& [shards, samples] : {std::pair{2, 50}, std::pair{3, 13}}) {
    manifest.add_train_datasets()->set_shards(shards);
    manifest.mutable_train_datasets()->rbegin()->set_samples(samples);
  }
  manifest.set_train_samples(63);
  return manifest;
}

absl::StatusOr<SampleRange> Range(const v1::DataManifest& manifest) {
  return SampleRange::Create(manifest.train(), manifest.train_datasets(), manifest.train_samples(),
                             "train");
}

StreamLayout Layout(double first_weight, double second_weight, uint64_t total) {
  return StreamLayout({50, 13}, Mixture({first_weight, second_weight}), kWindow, total);
}

TEST(SampleOrderTest, ShardOrderRunsThroughTheDatasets) {
  const v1::DataManifest manifest = Manifest();
  const auto range = Range(manifest);
  ASSERT_TRUE(range.ok()) << range.status();
  const std::vector<OrderedSample> all = range->InShardOrder(0, 63, 63);
  for (uint64_t i = 0; i < 63; ++i) {
    EXPECT_EQ(all[i].id, i);
    EXPECT_EQ(all[i].dataset, i < 50 ? 0u : 1u);
    EXPECT_EQ(all[i].sample, i < 50 ? i : i - 50);
  }
  EXPECT_EQ(all[55].shard, 3u);
  EXPECT_EQ(all[55].row, 0u);
  EXPECT_EQ(all[62].shard, 4u);
}

TEST(SampleOrderTest, EachDatasetsEpochsHoldEachSampleOnce) {
  const v1::DataManifest manifest = Manifest();
  const auto range = Range(manifest);
  ASSERT_TRUE(range.ok());
  const StreamLayout layout = Layout(1, 1, 1000);
  std::map<std::pair<uint32_t, uint64_t>, std::multiset<uint64_t>> epochs;
  for (uint64_t w = 0; w < layout.windows(); ++w) {
    const auto drawn = range->Drawn(layout, w, kSeed, kWindow);
    ASSERT_EQ(drawn.size(), layout.Window(w).samples);
    for (const OrderedSample& s : drawn) {
      epochs[{s.dataset, s.epoch}].insert(s.sample);
      EXPECT_EQ(s.id, s.sample + (s.dataset == 0 ? 0 : 50));
    }
  }
  // 500 draws of each: 10 whole epochs of 50, 38 whole epochs of 13 and 6 samples of the next.
  EXPECT_EQ(epochs.size(), 10u + 39u);
  for (const auto& [key, samples] : epochs) {
    const std::set<uint64_t> distinct(samples.begin(), samples.end());
    EXPECT_EQ(distinct.size(), samples.size()) << key.first << " epoch " << key.second;
    EXPECT_EQ(samples.size(), key.first == 0 ? 50u : key.second < 38 ? 13u : 6u);
  }
}

// What a data set gives, and in which order, does not depend on what it is mixed with.
TEST(SampleOrderTest, TheNthDrawOfADatasetDoesNotDependOnTheWeights) {
  const v1::DataManifest manifest = Manifest();
  const auto range = Range(manifest);
  ASSERT_TRUE(range.ok());
  const auto draws_of_first = [&](const StreamLayout& layout) {
    std::vector<uint64_t> samples;
    for (uint64_t w = 0; samples.size() < 120; ++w) {
      for (const OrderedSample& s : range->Drawn(layout, w, kSeed, kWindow)) {
        if (s.dataset == 0) samples.push_back(s.sample);
      }
    }
    samples.resize(120);
    return samples;
  };
  EXPECT_EQ(draws_of_first(Layout(1, 1, StreamLayout::kEndless)),
            draws_of_first(Layout(5, 1, StreamLayout::kEndless)));
}

TEST(SampleOrderTest, SumsThatDoNotFitAreRefused) {
  v1::DataManifest manifest = Manifest();
  manifest.mutable_train_datasets(1)->set_samples(12);
  EXPECT_THAT(std::string(Range(manifest).status().message()), HasSubstr("train_datasets[1]"));
  manifest = Manifest();
  manifest.mutable_train_datasets()->RemoveLast();
  EXPECT_THAT(std::string(Range(manifest).status().message()), HasSubstr("train_datasets is 50"));
  manifest = Manifest();
  manifest.mutable_train_datasets(1)->set_shards(9);
  EXPECT_FALSE(Range(manifest).ok());
  manifest = Manifest();
  manifest.set_train_samples(64);
  EXPECT_THAT(std::string(Range(manifest).status().message()), HasSubstr("train_samples is 64"));
}

}  // namespace
}  // namespace navit
