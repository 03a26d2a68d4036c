#include "worker/stuck_loss.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace navit {
namespace {

int TimesStuck(StuckLoss* stuck, int steps, double factor, int64_t examples = 64) {
  int times = 0;
  for (int i = 0; i < steps; ++i) {
    times += stuck->Observe(factor * std::log(static_cast<double>(examples)), examples);
  }
  return times;
}

TEST(StuckLoss, FiftyStepsAtChanceAreOneTime) {
  StuckLoss stuck;
  EXPECT_EQ(TimesStuck(&stuck, 49, 1.0), 0);
  EXPECT_EQ(TimesStuck(&stuck, 1, 0.995), 1);
  EXPECT_EQ(TimesStuck(&stuck, 99, 1.005), 1);
}

TEST(StuckLoss, AStepThatLearnsBeginsAnew) {
  StuckLoss stuck;
  EXPECT_EQ(TimesStuck(&stuck, 49, 1.0), 0);
  EXPECT_EQ(TimesStuck(&stuck, 1, 0.98), 0);
  EXPECT_EQ(TimesStuck(&stuck, 49, 1.0), 0);
  EXPECT_FALSE(stuck.Observe(std::numeric_limits<double>::quiet_NaN(), 64));
  EXPECT_EQ(TimesStuck(&stuck, 49, 1.0), 0);
}

TEST(StuckLoss, ChanceDependsOnTheExamplesOfTheStep) {
  StuckLoss stuck;
  for (int step = 1; step < 50; ++step) {
    EXPECT_FALSE(stuck.Observe(std::log(10.0 + step), 10 + step));
  }
  // Nothing can be told from one example.
  EXPECT_FALSE(stuck.Observe(0, 1));
  EXPECT_TRUE(stuck.Observe(std::log(7.0), 7));
}

}  // namespace
}  // namespace navit
