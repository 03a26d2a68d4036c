#include "worker/model/batch_joiner.h"

#include <gtest/gtest.h>

#include <vector>

#include "worker/model/testing.h"

namespace navit {
namespace {

class BatchJoinerTest : public testing::Test {
 protected:
  // Samples of each batch that was taken, when batches of `shapes`, an example each, are added.
  using Samples = std::vector<std::vector<uint64_t>>;
  Samples Join(int64_t max_tokens, const std::vector<ExampleShape>& shapes,
               const std::vector<uint32_t>& epochs = {}) {
    Samples taken;
    BatchJoiner joiner(max_tokens, [&](const Batch& batch) {
      taken.push_back(batch.samples);
      taken_.push_back(batch);
      return absl::OkStatus();
    });
    for (size_t i = 0; i < shapes.size(); ++i) {
      Batch batch = DrawBatch(config_, 5, i, {shapes[i]});
      if (!epochs.empty()) batch.epoch = epochs[i];
      EXPECT_TRUE(joiner.Add(std::move(batch)).ok());
    }
    EXPECT_TRUE(joiner.Finish().ok());
    EXPECT_TRUE(joiner.Finish().ok());
    return taken;
  }

  const ModelConfig config_ = SmallModelConfig();
  std::vector<Batch> taken_;
};

TEST_F(BatchJoinerTest, NeitherTowerGetsMoreTokens) {
  EXPECT_EQ((Samples{{0, 1}, {2}}), Join(10, {{5, 1}, {5, 1}, {1, 1}}));
  EXPECT_EQ((Samples{{0, 1}, {2}}), Join(10, {{1, 5}, {1, 5}, {1, 1}}));
}

TEST_F(BatchJoinerTest, WhatIsLargerComesAlone) {
  EXPECT_EQ((Samples{{0}, {1}, {2}}), Join(4, {{1, 1}, {9, 1}, {1, 1}}));
}

TEST_F(BatchJoinerTest, EpochsStayApart) {
  EXPECT_EQ((Samples{{0, 1}, {2}}), Join(100, {{1, 1}, {1, 1}, {1, 1}}, {1, 1, 2}));
  EXPECT_EQ(1u, taken_[0].epoch);
  EXPECT_EQ(2u, taken_[1].epoch);
}

TEST_F(BatchJoinerTest, NothingIsLostOrLeftOver) {
  EXPECT_EQ(Samples(), Join(10, {}));
  EXPECT_EQ((Samples{{0}, {1}}), Join(10, {{7, 3}, {6, 2}}));
  // The second one is in the memory of the first.
  const Batch second = DrawBatch(config_, 5, 1, {{6, 2}});
  EXPECT_EQ(second.patches, taken_[1].patches);
  EXPECT_EQ(second.text, taken_[1].text);
  EXPECT_EQ(second.image_cu_seqlens, taken_[1].image_cu_seqlens);
}

TEST_F(BatchJoinerTest, TellsTheErrorOfWhoTakes) {
  BatchJoiner joiner(4, [](const Batch&) { return absl::InternalError("broken"); });
  EXPECT_TRUE(joiner.Add(DrawBatch(config_, 5, 0, {{4, 1}})).ok());
  EXPECT_EQ("broken", joiner.Add(DrawBatch(config_, 5, 1, {{4, 1}})).message());
}

}  // namespace
}  // namespace navit
