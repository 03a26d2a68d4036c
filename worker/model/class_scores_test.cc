#include "worker/model/class_scores.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "worker/collective_threads.h"

namespace navit {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

TEST(ClassScores, CountsTheLabelsRank) {
  ClassScores scores(/*sigmoid=*/false);
  // First; second; sixth of seven; tied with all others, which then are ahead.
  scores.Add({9, 1, 2, 3, 4, 5, 6}, {0}, 7);
  scores.Add({9, 8, 2, 3, 4, 5, 6}, {1}, 7);
  scores.Add({9, 1, 2, 3, 4, 5, 6}, {2}, 7);
  scores.Add({1, 1, 1, 1, 1, 1, 1}, {3}, 7);
  EXPECT_EQ(scores.examples(), 4);
  EXPECT_EQ(scores.TopOne(), 0.25);
  EXPECT_EQ(scores.TopFive(), 0.5);
}

TEST(ClassScores, NothingIsNamedByNaN) {
  ClassScores scores(/*sigmoid=*/false);
  scores.Add({kNan, kNan, kNan, kNan, kNan, kNan}, {0}, 6);
  scores.Add({1, 2, 3, 4, 5, kNan}, {5}, 6);
  EXPECT_EQ(scores.TopOne(), 0);
  EXPECT_EQ(scores.TopFive(), 0);
  EXPECT_TRUE(std::isfinite(scores.CalibrationError()));
  EXPECT_EQ(ClassScores(false).TopOne(), 0);
  EXPECT_EQ(ClassScores(false).CalibrationError(), 0);
}

// Bins of 1/15: probabilities of 0.9, of which half hit, and of 0.6, of which all do.
TEST(ClassScores, CalibrationErrorOfKnownProbabilities) {
  const auto logit = [](double p) { return static_cast<float>(std::log(p / (1 - p))); };
  for (const bool sigmoid : {false, true}) {
    ClassScores scores(sigmoid);
    for (int i = 0; i < 4; ++i) {
      // Two classes: softmax of (x, 0) is the sigmoid of x.
      const float other = sigmoid ? -9.0f : 0.0f;
      scores.Add({logit(0.9), other}, {i % 2}, 2);
      scores.Add({logit(0.6), other}, {0}, 2);
    }
    EXPECT_NEAR(scores.CalibrationError(), (0.4 + 0.4) / 2, 1e-6);
    EXPECT_EQ(scores.TopOne(), 0.75);
  }
}

TEST(ClassScores, RanksAddUp) {
  std::mt19937 draw(5);
  std::normal_distribution<float> normal;
  constexpr int kClasses = 9, kRows = 40;
  std::vector<float> logits(kRows * kClasses);
  for (float& value : logits) value = 2 * normal(draw);
  std::vector<int32_t> labels;
  for (int r = 0; r < kRows; ++r) labels.push_back(static_cast<int32_t>(draw() % kClasses));
  ClassScores whole(false);
  whole.Add(logits, labels, kClasses);
  RunRanks(3, [&](Collective* collective) {
    // 0, 15 and 25 rows.
    const int bounds[] = {0, 0, 15, kRows};
    const int first = bounds[collective->rank()], end = bounds[collective->rank() + 1];
    ClassScores mine(false);
    mine.Add(absl::MakeConstSpan(logits).subspan(first * kClasses, (end - first) * kClasses),
             absl::MakeConstSpan(labels).subspan(first, end - first), kClasses);
    ASSERT_TRUE(mine.Merge(collective).ok());
    EXPECT_EQ(mine.examples(), kRows);
    EXPECT_EQ(mine.TopOne(), whole.TopOne());
    EXPECT_EQ(mine.TopFive(), whole.TopFive());
    EXPECT_NEAR(mine.CalibrationError(), whole.CalibrationError(), 1e-12);
  });
}

}  // namespace
}  // namespace navit
