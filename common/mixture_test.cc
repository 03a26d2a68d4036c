#include "common/mixture.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>

namespace navit {
namespace {

// Walks `positions` positions: each takes exactly one data set, shares hold at every prefix, and
// the closed form is what the walk counted.
void Walk(const std::vector<double>& weights, uint64_t positions) {
  const Mixture mixture(weights);
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  const double bound = weights.size() <= 3 ? 1 : 2;
  std::vector<uint64_t> counts(weights.size(), 0);
  for (uint64_t n = 1; n <= positions; ++n) {
    size_t taken = 0;
    for (size_t d = 0; d < weights.size(); ++d) {
      const uint64_t count = mixture.Count(d, n);
      ASSERT_TRUE(count == counts[d] || count == counts[d] + 1) << "position " << n;
      if (count == counts[d]) continue;
      ++taken;
      ++counts[d];
      ASSERT_EQ(mixture.PositionsFor(d, count), n);
      ASSERT_LE(std::abs(static_cast<double>(count) - static_cast<double>(n) * weights[d] / sum),
                bound + 1e-3)
          << "data set " << d << " of " << weights.size() << ", position " << n;
    }
    ASSERT_EQ(taken, 1u) << "position " << n;
  }
}

TEST(MixtureTest, EveryPositionTakesOneDatasetAndSharesHoldAtEveryPrefix) {
  Walk({1}, 100);
  Walk({1, 1}, 1000);
  Walk({3, 1}, 1000);
  Walk({0.7, 0.2, 0.1}, 3000);
  Walk({1, 1, 1}, 3000);
  Walk({1, 2, 4, 8, 16}, 3000);
  Walk({1, 1, 1, 1, 1, 1, 1}, 3000);
  Walk({1e-6, 1e6}, 3000);
}

TEST(MixtureTest, DrawnWeights) {
  constexpr uint32_t kSeed = 7;
  SCOPED_TRACE(kSeed);
  std::mt19937 draw(kSeed);
  for (int round = 0; round < 60; ++round) {
    std::vector<double> weights(1 + draw() % 12);
    for (double& weight : weights) weight = std::exp(static_cast<double>(draw() % 1000) / 100 - 5);
    Walk(weights, 1000);
  }
}

TEST(MixtureTest, FarAlongTheStream) {
  const Mixture mixture({0.5, 0.3, 0.2});
  const uint64_t n = 1'000'000'000'000;
  uint64_t sum = 0;
  for (size_t d = 0; d < 3; ++d) sum += mixture.Count(d, n);
  EXPECT_EQ(sum, n);
  EXPECT_NEAR(static_cast<double>(mixture.Count(1, n)), 3e11, 300);
  EXPECT_EQ(mixture.Count(0, n + 1) + mixture.Count(1, n + 1) + mixture.Count(2, n + 1), n + 1);
}

TEST(MixtureTest, OneDatasetTakesEveryPosition) {
  const Mixture mixture({0.25});
  EXPECT_EQ(mixture.Count(0, 12345), 12345u);
  EXPECT_EQ(mixture.PositionsFor(0, 12345), 12345u);
}

// The sequence is part of the plan: a change of it moves every sample of every mixture.
TEST(MixtureTest, TheSequenceIsPinned) {
  const Mixture mixture({2, 1, 1});
  std::string sequence;
  for (uint64_t n = 0; n < 16; ++n) {
    for (size_t d = 0; d < 3; ++d) {
      if (mixture.Count(d, n + 1) > mixture.Count(d, n)) sequence += static_cast<char>('a' + d);
    }
  }
  EXPECT_EQ(sequence, "abacabacabacabac");
}

}  // namespace
}  // namespace navit
