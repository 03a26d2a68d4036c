#include "worker/model/tensor_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "worker/model/testing.h"

namespace navit {
namespace {

using ::testing::HasSubstr;

v1::OptimizerSpec Spec() {
  v1::OptimizerSpec spec;
  spec.set_weight_decay(0.1);
  return spec;
}

v1::ParameterGroup* AddGroup(v1::OptimizerSpec* spec, const std::string& match) {
  v1::ParameterGroup* group = spec->add_groups();
  group->set_match(match);
  return group;
}

class TensorRulesTest : public ::testing::Test {
 protected:
  static ModelConfig Config() {
    ModelConfig config = SmallModelConfig();
    config.image.depth = 3;
    return config;
  }

  TensorRule RuleOf(const v1::OptimizerSpec& spec, const std::string& name) const {
    const auto rules = ResolveTensorRules(table_, spec);
    EXPECT_TRUE(rules.ok()) << rules.status();
    return (*rules)[&table_.Find(name) - table_.entries().data()];
  }

  const ParameterTable table_{Config()};
};

TEST_F(TensorRulesTest, MatricesDecayAndNothingElse) {
  EXPECT_EQ(RuleOf(Spec(), "image.patch_embed.weight"), (TensorRule{1, 0.1, false}));
  EXPECT_EQ(RuleOf(Spec(), "image.patch_embed.bias"), (TensorRule{1, 0, false}));
}

TEST_F(TensorRulesTest, TheFirstGroupThatFitsDecides) {
  v1::OptimizerSpec spec = Spec();
  v1::ParameterGroup* patches = AddGroup(&spec, "image.patch_embed.*");
  patches->set_lr_scale(0.5);
  patches->set_weight_decay(3);
  AddGroup(&spec, "image.*")->set_freeze(true);
  EXPECT_EQ(RuleOf(spec, "image.patch_embed.weight"), (TensorRule{0.5, 3, false}));
  EXPECT_EQ(RuleOf(spec, "image.patch_embed.bias"), (TensorRule{0.5, 0, false}));
  EXPECT_TRUE(RuleOf(spec, "image.blocks.2.attn.qkv.weight").frozen);
  EXPECT_FALSE(RuleOf(spec, "text.projection.weight").frozen);
}

TEST_F(TensorRulesTest, RatesFallLayerByLayerFromTheHead) {
  v1::OptimizerSpec spec = Spec();
  spec.set_layer_decay(0.5);
  EXPECT_EQ(RuleOf(spec, "image.projection.weight").lr_scale, 1);
  EXPECT_EQ(RuleOf(spec, "image.norm.gain").lr_scale, 1);
  EXPECT_EQ(RuleOf(spec, "image.pool.probe").lr_scale, 1);
  EXPECT_EQ(RuleOf(spec, "image.blocks.2.norm1.gain").lr_scale, 0.5);
  EXPECT_EQ(RuleOf(spec, "image.blocks.0.norm1.gain").lr_scale, 0.125);
  EXPECT_EQ(RuleOf(spec, "image.position.row").lr_scale, 0.0625);
  EXPECT_EQ(RuleOf(spec, "text.token_embed").lr_scale, 0.25);
  EXPECT_EQ(RuleOf(spec, "loss.logit_scale").lr_scale, 1);
}

TEST_F(TensorRulesTest, AGroupThatFitsNothingIsAnError) {
  v1::OptimizerSpec spec = Spec();
  AddGroup(&spec, "image.*");
  AddGroup(&spec, "imag.*");
  EXPECT_THAT(std::string(ResolveTensorRules(table_, spec).status().message()),
              HasSubstr("optimizer.groups[1].match: no tensor of this model has a name like "));
}

}  // namespace
}  // namespace navit
