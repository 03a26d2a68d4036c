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

}  // namespace
}  // namespace navit
