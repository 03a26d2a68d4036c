#include "common/step_curve.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace navit {
namespace {

v1::StepReport Step(uint64_t number, float loss) {
  v1::StepReport step;
  step.set_step(number);
  step.set_loss(loss);
  step.set_grad_norm(2 * loss);
  step.set_learning_rate(0.5f);
  step.set_seconds(0.5);
  step.set_image_tokens(90);
  step.set_text_tokens(10);
  step.set_capacity_tokens(100);
  step.set_valid_examples(4);
  return step;
}

TEST(StepCurveTest, FewStepsAreAPointEach) {
  const v1::Curve curve = StepCurve({Step(1, 3), Step(2, 1)}, 10);
  ASSERT_EQ(curve.step_size(), 2);
  EXPECT_EQ(curve.step(1), 2);
  EXPECT_EQ(curve.loss(0), 3);
  EXPECT_EQ(curve.grad_norm(0), 6);
  EXPECT_EQ(curve.tokens_per_second(0), 200);
  EXPECT_EQ(curve.examples_per_second(1), 8);
  EXPECT_DOUBLE_EQ(curve.fill(0), 0.9);
}

TEST(StepCurveTest, ManyStepsShareTheirPointsAndNoneIsLost) {
  std::vector<v1::StepReport> steps;
  for (uint64_t s = 1; s <= 1003; ++s) steps.push_back(Step(s, static_cast<float>(s % 2)));
  const v1::Curve curve = StepCurve(steps, 10);
  ASSERT_EQ(curve.step_size(), 10);
  EXPECT_EQ(curve.step(9), 1003);
  for (int i = 0; i < 10; ++i) {
    EXPECT_NEAR(curve.loss(i), 0.5, 0.01);
    EXPECT_EQ(curve.loss_min(i), 0);
    EXPECT_EQ(curve.loss_max(i), 1);
    EXPECT_NEAR(curve.tokens_per_second(i), 200, 1e-9);
  }
}

TEST(StepCurveTest, LossesThatAreNoNumbersDoNotSpreadToTheirNeighbours) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const v1::Curve mixed = StepCurve({Step(1, nan), Step(2, 4)}, 1);
  EXPECT_EQ(mixed.loss(0), 4);
  const v1::Curve none = StepCurve({Step(1, nan), Step(2, nan)}, 1);
  EXPECT_TRUE(std::isnan(none.loss(0)));
  EXPECT_EQ(StepCurve({}, 5).step_size(), 0);
}

}  // namespace
}  // namespace navit
