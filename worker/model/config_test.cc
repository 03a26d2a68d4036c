#include "worker/model/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "worker/model/parameters.h"

namespace navit {
namespace {

using ::testing::HasSubstr;

v1::ModelSpec Spec(const std::string& preset) {
  v1::ModelSpec spec;
  spec.mutable_image()->set_preset(preset);
  spec.mutable_image()->set_patch_size(16);
  spec.mutable_image()->set_max_grid(128);
  spec.mutable_text()->set_max_tokens(64);
  return spec;
}

v1::PreprocessSpec Preprocess() {
  v1::PreprocessSpec spec;
  for (int channel = 0; channel < 3; ++channel) {
    spec.add_mean(0.25f);
    spec.add_std(0.5f);
  }
  return spec;
}

TEST(ResolveModelConfig, TextTakesTheImageTowersNumbers) {
  v1::ModelSpec spec = Spec("Ti");
  spec.mutable_image()->mutable_size()->set_depth(4);
  spec.mutable_text()->mutable_size()->set_depth(2);
  const absl::StatusOr<ModelConfig> config = ResolveModelConfig(spec, Preprocess(), {});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->image.width, 192);
  EXPECT_EQ(config->image.depth, 4);
  EXPECT_EQ(config->image.mlp_dim, 768);
  EXPECT_EQ(config->image.head_dim(), 64);
  EXPECT_EQ(config->text.width, 192);
  EXPECT_EQ(config->text.depth, 2);
  EXPECT_EQ(config->embedding_dim, 192);
  EXPECT_EQ(config->pixel_mean[2], 0.25f);
  EXPECT_EQ(config->patch_dim(), 768);
}

TEST(ResolveModelConfig, TextPresetOverridesImage) {
  v1::ModelSpec spec = Spec("B");
  spec.mutable_text()->set_preset("S");
  spec.set_embedding_dim(512);
  const absl::StatusOr<ModelConfig> config = ResolveModelConfig(spec, Preprocess(), {});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->image.width, 768);
  EXPECT_EQ(config->text.width, 384);
  EXPECT_EQ(config->embedding_dim, 512);
}

TEST(ResolveModelConfig, NamesTheFieldThatIsWrong) {
  const auto message = [](const v1::ModelSpec& spec, const v1::PreprocessSpec& preprocess) {
    return std::string(ResolveModelConfig(spec, preprocess, {}).status().message());
  };
  EXPECT_THAT(message(Spec("XL"), Preprocess()), HasSubstr("model.image.preset: must be mu"));
  v1::ModelSpec spec = Spec("B");
  spec.mutable_image()->mutable_size()->set_heads(5);
  EXPECT_THAT(message(spec, Preprocess()), HasSubstr("model.image.size.heads: must divide"));
  spec = Spec("B");
  spec.mutable_text()->set_preset("huge");
  EXPECT_THAT(message(spec, Preprocess()), HasSubstr("model.text.preset"));
  v1::PreprocessSpec preprocess = Preprocess();
  preprocess.set_std(1, 0);
  EXPECT_THAT(message(Spec("B"), preprocess), HasSubstr("preprocess.std: must be > 0"));
  preprocess = Preprocess();
  preprocess.add_mean(0.5f);
  EXPECT_THAT(message(Spec("B"), preprocess), HasSubstr("preprocess.mean: must have three"));
}

TEST(UsefulForwardFlops, CountsRealTokensOnly) {
  ModelConfig config;
  config.image = {.width = 10, .depth = 2, .mlp_dim = 40, .heads = 1};
  config.text = {.width = 6, .depth = 1, .mlp_dim = 12, .heads = 1};
  config.patch_size = 1;
  config.embedding_dim = 5;
  // Multiply-adds of one image token: patch 3*10; per block 3*100 + 100 + 2*400, two blocks; keys
  // and values of pooling 200. Attention: 2 * 7*7*10 for two GEMMs, two blocks; pooling 2 * 7*10.
  // Of the image: output projection 100, MLP 800, embedding 50.
  const double image = 7 * (30 + 2 * 1200 + 200) + 2 * (2 * 49 * 10) + 2 * 70 + 950;
  EXPECT_DOUBLE_EQ(UsefulForwardFlops(config, {7}, {}), 2 * image);
  EXPECT_DOUBLE_EQ(UsefulForwardFlops(config, {7, 0, 7}, {0}), 4 * image);
  const double text = 3 * (4 * 36 + 2 * 72 + 72) + 2 * 9 * 6 + 2 * 3 * 6 + (36 + 144 + 30);
  EXPECT_DOUBLE_EQ(UsefulForwardFlops(config, {}, {3}), 2 * text);
}

}  // namespace
}  // namespace navit
