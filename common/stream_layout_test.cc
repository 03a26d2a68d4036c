#include "common/stream_layout.h"

#include <gtest/gtest.h>

namespace navit {
namespace {

TEST(StreamLayoutTest, WindowsCoverEveryEpochOnceAndNeverCrossIt) {
  const StreamLayout layout(/*dataset_samples=*/103, /*window_samples=*/20,
                            /*total_samples=*/3 * 103);
  ASSERT_EQ(layout.windows(), 18u);
  uint64_t next = 0;
  for (uint64_t w = 0; w < layout.windows(); ++w) {
    const WindowExtent extent = layout.Window(w);
    EXPECT_EQ(extent.first_in_stream, next);
    EXPECT_EQ(extent.epoch * 103 + extent.first_in_epoch, next);
    EXPECT_LE(extent.first_in_epoch + extent.samples, 103u);
    EXPECT_GT(extent.samples, 0u);
    next += extent.samples;
  }
  EXPECT_EQ(next, layout.samples());
}

TEST(StreamLayoutTest, AStreamGivenInExamplesEndsWithAShortWindow) {
  const StreamLayout layout(100, 40, 150);
  ASSERT_EQ(layout.windows(), 5u);
  EXPECT_EQ(layout.Window(4).first_in_epoch, 40u);
  EXPECT_EQ(layout.Window(4).samples, 10u);
}

TEST(StreamLayoutTest, AStreamGivenInStepsHasNoEnd) {
  const StreamLayout layout(100, 40, StreamLayout::kEndless);
  EXPECT_EQ(layout.windows(), StreamLayout::kEndless);
  EXPECT_EQ(layout.Window(3'000'001).epoch, 1'000'000u);
  EXPECT_EQ(layout.Window(3'000'001).samples, 40u);
}

TEST(StreamLayoutTest, ADatasetSmallerThanAWindowHasOneWindowPerEpoch) {
  const StreamLayout layout(7, 8192, 14);
  EXPECT_EQ(layout.windows(), 2u);
  EXPECT_EQ(layout.Window(1).samples, 7u);
}

TEST(StreamLayoutTest, OneDatasetIsDrawnInTheOrderOfTheStream) {
  const StreamLayout layout(103, 20, 3 * 103);
  for (uint64_t w = 0; w < layout.windows(); ++w) {
    const WindowExtent extent = layout.Window(w);
    EXPECT_EQ(layout.Draws(w, 0).first, extent.first_in_stream);
    EXPECT_EQ(layout.Draws(w, 0).end, extent.first_in_stream + extent.samples);
  }
  EXPECT_EQ(layout.windows_per_pass(), 6u);
}

TEST(StreamLayoutTest, TheWindowsOfAMixtureTakeEveryDrawOnce) {
  const StreamLayout layout({50, 7, 400}, Mixture({2, 1, 0.5}), /*window_samples=*/16,
                            /*total_samples=*/1000);
  ASSERT_EQ(layout.windows(), 63u);
  std::vector<uint64_t> next(3, 0);
  for (uint64_t w = 0; w < layout.windows(); ++w) {
    const WindowExtent extent = layout.Window(w);
    EXPECT_EQ(extent.epoch, 0u);
    EXPECT_EQ(extent.first_in_stream, w * 16);
    uint64_t samples = 0;
    for (size_t d = 0; d < 3; ++d) {
      EXPECT_EQ(layout.Draws(w, d).first, next[d]);
      next[d] = layout.Draws(w, d).end;
      samples += next[d] - layout.Draws(w, d).first;
    }
    EXPECT_EQ(samples, extent.samples);
  }
  EXPECT_EQ(layout.Window(62).samples, 8u);
  EXPECT_NEAR(static_cast<double>(next[0]), 1000 * 2 / 3.5, 1);
}

TEST(StreamLayoutTest, APassOfAMixtureEndsWithItsSlowestDataset) {
  const StreamLayout layout({100, 100}, Mixture({3, 1}), 50, StreamLayout::kEndless);
  EXPECT_EQ(layout.windows(), StreamLayout::kEndless);
  EXPECT_EQ(layout.windows_per_pass(), 8u);
  EXPECT_EQ(layout.Draws(7, 1).end, 100u);
}

}  // namespace
}  // namespace navit
