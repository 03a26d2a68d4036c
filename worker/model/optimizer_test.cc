#include "worker/model/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace navit {
namespace {

ModelConfig Config() {
  ModelConfig config;
  config.image = {.width = 16, .depth = 1, .mlp_dim = 32, .heads = 2};
  config.text = config.image;
  config.patch_size = 2;
  config.max_grid = 4;
  config.position_rows = 4;
  config.max_text_tokens = 5;
  config.embedding_dim = 8;
  return config;
}

class OptimizerTest : public ::testing::Test {
 protected:
  OptimizerTest() : table_(Config()), state_(table_), pool_(1) {
    InitializeState(table_, 1, &state_);
  }

  float& Parameter(const char* name) { return state_.parameters.data()[table_.Find(name).offset]; }
  float& Gradient(const char* name) { return state_.gradients.data()[table_.Find(name).offset]; }
  UpdateResult Update(double lr) { return ApplyUpdate(table_, options_, lr, &state_, pool_); }

  const ParameterTable table_;
  ModelState state_;
  kernels::ThreadPool pool_;
  OptimizerOptions options_;
};

TEST_F(OptimizerTest, FirstUpdateMovesByTheLearningRateAgainstTheGradient) {
  options_.clip_norm = 0;
  const float before = Parameter("image.norm.gain");
  Gradient("image.norm.gain") = 1e-3f;
  const UpdateResult result = Update(0.01);
  // Bias correction makes the first step lr * sign(g).
  EXPECT_NEAR(Parameter("image.norm.gain"), before - 0.01, 1e-6);
  EXPECT_FALSE(result.skipped);
  EXPECT_NEAR(result.gradient_norm, 1e-3, 1e-9);
  EXPECT_EQ(state_.updates, 1u);
}

TEST_F(OptimizerTest, DecayShrinksMatricesAndNothingElse) {
  options_.weight_decay = 0.1;
  const std::vector<float> before(state_.parameters.span().begin(), state_.parameters.span().end());
  Update(0.5);
  for (const ParameterInfo& info : table_.entries()) {
    for (size_t i = info.offset; i < info.offset + info.size; ++i) {
      const float expected = info.decay ? before[i] * 0.95f : before[i];
      ASSERT_NEAR(state_.parameters.data()[i], expected, 1e-6f) << info.name;
    }
  }
}

TEST_F(OptimizerTest, ClippingScalesTheWholeGradient) {
  options_.clip_norm = 1.0;
  Gradient("image.norm.gain") = 30;
  Gradient("text.norm.gain") = 40;
  const UpdateResult result = Update(0.001);
  EXPECT_NEAR(result.gradient_norm, 50, 1e-4);
  const size_t offset = table_.Find("image.norm.gain").offset;
  EXPECT_NEAR(state_.first_moment.data()[offset], 0.1 * 30 / 50, 1e-6);
}

TEST_F(OptimizerTest, NonFiniteGradientChangesNothing) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    const std::vector<float> before(state_.parameters.span().begin(),
                                    state_.parameters.span().end());
    Gradient("image.norm.gain") = 1;
    Gradient("text.pool.probe") = bad;
    const UpdateResult result = Update(0.1);
    EXPECT_TRUE(result.skipped);
    EXPECT_EQ(state_.updates, 0u);
    EXPECT_EQ(state_.parameters.span(), absl::MakeConstSpan(before));
    EXPECT_EQ(state_.first_moment.data()[table_.Find("image.norm.gain").offset], 0);
  }
}

TEST_F(OptimizerTest, LogitScaleIsClampedAfterTheUpdate) {
  Parameter("loss.logit_scale") = 4.6f;
  Gradient("loss.logit_scale") = -1;
  const UpdateResult result = Update(0.5);
  EXPECT_EQ(Parameter("loss.logit_scale"), kLargestLogitScale);
  EXPECT_NEAR(result.logit_scale, 100, 1e-4);
}

TEST_F(OptimizerTest, FrozenTensorsStayAndAreNoPartOfTheNorm) {
  options_.rules.resize(table_.entries().size());
  options_.rules[&table_.Find("image.norm.gain") - table_.entries().data()].frozen = true;
  options_.rules[&table_.Find("text.norm.gain") - table_.entries().data()].lr_scale = 0.5;
  Gradient("image.norm.gain") = 3;
  Gradient("text.norm.gain") = 1e-3f;
  Gradient("text.pool.norm.gain") = 1e-3f;
  const UpdateResult result = Update(0.01);
  EXPECT_NEAR(result.gradient_norm, std::sqrt(2e-6), 1e-9);
  EXPECT_EQ(Parameter("image.norm.gain"), 1);
  EXPECT_NEAR(Parameter("text.norm.gain"), 1 - 0.005, 1e-6);
  EXPECT_NEAR(Parameter("text.pool.norm.gain"), 1 - 0.01, 1e-6);
  EXPECT_EQ(state_.first_moment.data()[table_.Find("image.norm.gain").offset], 0);
}

TEST(Optimizer, TheAverageFollowsTheWeights) {
  const ParameterTable table(Config());
  ModelState state(table, /*with_average=*/true);
  InitializeState(table, 1, &state);
  kernels::ThreadPool pool(1);
  OptimizerOptions options;
  options.ema_decay = 0.95;
  const size_t at = table.Find("image.norm.gain").offset;
  double average = state.parameters.data()[at];
  for (int step = 0; step < 50; ++step) {
    state.gradients.data()[at] = step % 3 == 0 ? -0.5f : 0.25f;
    ASSERT_FALSE(ApplyUpdate(table, options, 0.01, &state, pool).skipped);
    average = 0.95 * average + 0.05 * state.parameters.data()[at];
    ASSERT_NEAR(state.average.data()[at], average, 1e-6);
  }
  EXPECT_GT(std::abs(average - state.parameters.data()[at]), 1e-4);
  // A step that is skipped leaves it.
  const float before = state.average.data()[at];
  state.gradients.data()[at] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(ApplyUpdate(table, options, 0.01, &state, pool).skipped);
  EXPECT_EQ(state.average.data()[at], before);
}

TEST(ResolveOptimizerOptions, ReadsTheSpec) {
  v1::OptimizerSpec optimizer;
  optimizer.set_lr(0.25);
  optimizer.add_betas(0.8);
  optimizer.add_betas(0.7);
  optimizer.set_eps(1e-6);
  optimizer.set_weight_decay(0.3);
  optimizer.set_clip_norm(2);
  v1::ScheduleSpec schedule;
  schedule.set_kind(v1::ScheduleSpec::CONSTANT);
  schedule.set_warmup_fraction(0.5);
  optimizer.add_groups()->set_match("text.*");
  const ParameterTable table(Config());
  const auto resolved = ResolveOptimizerOptions(optimizer, schedule, table);
  ASSERT_TRUE(resolved.ok()) << resolved.status();
  const OptimizerOptions& options = *resolved;
  EXPECT_EQ(options.lr, 0.25);
  EXPECT_EQ(options.beta1, 0.8);
  EXPECT_EQ(options.beta2, 0.7);
  EXPECT_EQ(options.eps, 1e-6);
  EXPECT_EQ(options.weight_decay, 0.3);
  EXPECT_EQ(options.clip_norm, 2);
  EXPECT_EQ(options.schedule.kind, v1::ScheduleSpec::CONSTANT);
  EXPECT_EQ(options.schedule.warmup_fraction, 0.5);
  EXPECT_EQ(options.rules.size(), table.entries().size());
  optimizer.add_groups()->set_match("nothing");
  EXPECT_FALSE(ResolveOptimizerOptions(optimizer, schedule, table).ok());
}

}  // namespace
}  // namespace navit
