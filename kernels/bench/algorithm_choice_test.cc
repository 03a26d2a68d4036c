#include "kernels/bench/algorithm_choice.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "gtest/gtest.h"

namespace navit::kernels::cuda {
namespace {

// The choice where all are right but those of `wrong`, and what was asked about, in order.
struct Decision {
  std::optional<size_t> choice;
  std::vector<size_t> asked;
};
Decision Decide(double without, const std::vector<double>& seconds,
                const std::vector<size_t>& wrong = {}) {
  Decision decision;
  decision.choice = ChooseAlgorithm(without, seconds, [&](size_t i) {
    decision.asked.push_back(i);
    return std::find(wrong.begin(), wrong.end(), i) == wrong.end();
  });
  return decision;
}

TEST(ChooseAlgorithm, TakesTheFastest) {
  EXPECT_EQ(2u, Decide(10, {10, 9, 5, 7}).choice);
  EXPECT_EQ(0u, Decide(10, {10}).choice);
  EXPECT_EQ(1u, Decide(10, {12, 10}).choice);
}

TEST(ChooseAlgorithm, TheFirstStandsAgainstNoise) {
  EXPECT_EQ(0u, Decide(10, {10, 9.95}).choice);
  EXPECT_EQ(1u, Decide(10, {10, 9.85}).choice);
  // The fastest of the others, however near they are.
  EXPECT_EQ(2u, Decide(10, {10, 9.001, 9}).choice);
}

TEST(ChooseAlgorithm, WhatIsWrongIsPassedOver) {
  const Decision decision = Decide(10, {10, 9, 5, 7}, {2, 3});
  EXPECT_EQ(1u, decision.choice);
  EXPECT_EQ((std::vector<size_t>{2, 3, 1}), decision.asked);
  EXPECT_EQ(std::nullopt, Decide(10, {10, 9}, {0, 1}).choice);
}

TEST(ChooseAlgorithm, NothingIsMadeSlower) {
  EXPECT_EQ(std::nullopt, Decide(10, {11, 12}).choice);
  EXPECT_EQ(std::nullopt, Decide(10, {}).choice);
  EXPECT_EQ(0u, Decide(10, {10.05, 12}).choice);
  const Decision decision = Decide(10, {11, 9}, {1});
  EXPECT_EQ(std::nullopt, decision.choice);
  EXPECT_EQ((std::vector<size_t>{1}), decision.asked);
}

}  // namespace
}  // namespace navit::kernels::cuda
