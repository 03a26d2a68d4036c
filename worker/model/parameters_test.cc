#include "worker/model/parameters.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace navit {
namespace {

ModelConfig Config() {
  ModelConfig config;
  config.image = {.width = 64, .depth = 3, .mlp_dim = 256, .heads = 4};
  config.text = {.width = 40, .depth = 2, .mlp_dim = 80, .heads = 2};
  config.patch_size = 4;
  config.max_grid = 33;
  config.position_rows = 33;
  config.max_text_tokens = 17;
  config.embedding_dim = 20;
  return config;
}

TEST(ParameterTable, TensorsAreAlignedAndDoNotOverlap) {
  const ParameterTable table(Config());
  size_t end = 0;
  size_t count = 0;
  for (const ParameterInfo& info : table.entries()) {
    EXPECT_EQ(info.offset * sizeof(float) % kTensorAlignment, 0u) << info.name;
    EXPECT_EQ(info.offset, end) << info.name;
    end = info.offset + AlignedFloats(info.size);
    count += info.size;
    EXPECT_EQ(&table.Find(info.name), &info);
  }
  EXPECT_EQ(table.total_size(), end);
  EXPECT_EQ(table.parameter_count(), count);
  const ModelState state(table);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(state.parameters.data()) % kTensorAlignment, 0u);
  EXPECT_EQ(table.FindOrNull("image.blocks.3.norm1.gain"), nullptr);
}

TEST(ParameterTable, CountsParametersAsThePaperModelDoes) {
  // Per block: 4 D^2 + 2 D M + M + D + 2 D + 2 D/H; head: 4 D^2 + 2 D M + M + D + 2 D, norm D.
  const ParameterTable table(Config());
  const auto tower = [](size_t d, size_t m, size_t h, size_t depth) {
    const size_t mlp = 2 * d * m + m + d;
    return depth * (4 * d * d + mlp + 2 * d + 2 * d / h) + (4 * d * d + mlp + 2 * d) + d + 20 * d;
  };
  const size_t image = tower(64, 256, 4, 3) + 64 * 48 + 64 + 2 * 33 * 64;
  const size_t text = tower(40, 80, 2, 2) + (17 + 258) * 40;
  EXPECT_EQ(table.parameter_count(), image + text + 1);
}

TEST(ParameterTable, DecayIsForMatricesOnly) {
  const ParameterTable table(Config());
  for (const ParameterInfo& info : table.entries()) {
    const std::string& name = info.name;
    const bool matrix = name.size() > 7 && name.rfind(".weight") == name.size() - 7;
    EXPECT_EQ(info.decay, matrix) << name;
  }
}

TEST(ParameterTable, IsInTheOrderOfTheBackwardPass) {
  const ParameterTable table(Config());
  const std::vector<std::string> order = {
      "loss.logit_scale",          "text.projection.weight",
      "text.pool.probe",           "text.norm.gain",
      "text.blocks.1.norm1.gain",  "text.blocks.0.norm1.gain",
      "text.token_embed",          "image.projection.weight",
      "image.norm.gain",           "image.blocks.2.mlp.fc2.weight",
      "image.blocks.2.norm1.gain", "image.blocks.0.mlp.fc2.weight",
      "image.blocks.0.norm1.gain", "image.patch_embed.weight"};
  for (size_t i = 1; i < order.size(); ++i) {
    EXPECT_LT(table.Find(order[i - 1]).offset, table.Find(order[i]).offset) << order[i];
  }
}

TEST(ParameterTable, AClassifierTakesThePlaceOfTheTextTower) {
  ModelConfig config = Config();
  config.classes = 1000;
  for (const auto& [kind, bias] : {std::pair(v1::LossSpec::SIGMOID_CLASSIFICATION, -6.9077553f),
                                   std::pair(v1::LossSpec::SOFTMAX_CLASSIFICATION, 0.0f)}) {
    config.loss = kind;
    const ParameterTable table(config);
    EXPECT_EQ(table.entries().front().name, "image.classifier.weight");
    for (const ParameterInfo& info : table.entries()) {
      EXPECT_EQ(info.name.rfind("image.", 0), 0u) << info.name;
    }
    EXPECT_EQ(table.FindOrNull("image.projection.weight"), nullptr);
    const ParameterInfo& weight = table.Find("image.classifier.weight");
    EXPECT_EQ(weight.shape, (std::vector<int64_t>{1000, 64}));
    EXPECT_TRUE(weight.decay);
    ModelState state(table);
    InitializeState(table, 42, &state);
    EXPECT_EQ(state.parameters.data()[weight.offset + 17], 0.0f);
    EXPECT_EQ(state.parameters.data()[table.Find("image.classifier.bias").offset + 999], bias);
  }
}

TEST(InitializeState, TheAverageBeginsAtTheWeights) {
  const ParameterTable table(Config());
  ModelState state(table, /*with_average=*/true);
  InitializeState(table, 42, &state);
  EXPECT_EQ(state.average.span(), state.parameters.span());
  EXPECT_EQ(state.evaluated().data(), state.average.data());
  EXPECT_FALSE(ModelState(table).has_average());
}

TEST(InitializeState, DependsOnSeedAndNameOnly) {
  const ParameterTable table(Config());
  ModelConfig deeper_config = Config();
  deeper_config.image.depth = 5;
  const ParameterTable deeper(deeper_config);
  ModelState first(table), second(table), other_seed(table), other_model(deeper);
  second.parameters.data()[5] = 3;
  second.updates = 9;
  InitializeState(table, 42, &first);
  InitializeState(table, 42, &second);
  InitializeState(table, 43, &other_seed);
  InitializeState(deeper, 42, &other_model);
  EXPECT_EQ(first.parameters.span(), second.parameters.span());
  EXPECT_EQ(second.updates, 0u);
  EXPECT_NE(first.parameters.span(), other_seed.parameters.span());
  const ParameterInfo& here = table.Find("image.blocks.1.attn.qkv.weight");
  const ParameterInfo& there = deeper.Find("image.blocks.1.attn.qkv.weight");
  EXPECT_EQ(first.parameters.span().subspan(here.offset, here.size),
            other_model.parameters.span().subspan(there.offset, there.size));
}

// The draws are part of a job's identity: a change of them is deliberate.
TEST(InitializeState, GoldenValues) {
  const ParameterTable table(Config());
  ModelState state(table);
  InitializeState(table, 42, &state);
  const auto values = [&](const char* name) {
    return state.parameters.data() + table.Find(name).offset;
  };
  EXPECT_EQ(values("image.blocks.0.attn.qkv.weight")[0], 0x1.a4356cp-3f);
  EXPECT_EQ(values("image.blocks.0.attn.qkv.weight")[4097], -0x1.2d0fe8p-3f);
  EXPECT_EQ(values("text.token_embed")[7], -0x1.25578cp-6f);
}

struct Moments {
  double mean = 0, deviation = 0, largest = 0;
};

Moments MomentsOf(absl::Span<const float> values) {
  Moments moments;
  for (const float value : values) moments.mean += value / static_cast<double>(values.size());
  for (const float value : values) {
    moments.deviation += std::pow(value - moments.mean, 2) / static_cast<double>(values.size());
    moments.largest = std::max(moments.largest, std::abs(static_cast<double>(value)));
  }
  moments.deviation = std::sqrt(moments.deviation);
  return moments;
}

TEST(InitializeState, DistributionsAreThoseOfTheMethod) {
  const ParameterTable table(Config());
  ModelState state(table);
  InitializeState(table, 7, &state);
  const auto moments = [&](const char* name) {
    const ParameterInfo& info = table.Find(name);
    return MomentsOf(state.parameters.span().subspan(info.offset, info.size));
  };
  // Xavier-uniform of a D x D matrix: bound sqrt(6 / 2D), deviation bound / sqrt(3).
  const double bound = std::sqrt(6.0 / 128);
  const Moments qkv = moments("image.blocks.2.attn.qkv.weight");
  EXPECT_NEAR(qkv.mean, 0, 0.005);
  EXPECT_NEAR(qkv.deviation, bound / std::sqrt(3.0), 0.003);
  EXPECT_LE(qkv.largest, bound);
  EXPECT_GT(qkv.largest, 0.99 * bound);
  EXPECT_NEAR(moments("image.blocks.0.mlp.fc1.weight").largest, std::sqrt(6.0 / 320), 1e-3);
  const Moments tokens = moments("text.token_embed");
  EXPECT_NEAR(tokens.mean, 0, 0.001);
  EXPECT_NEAR(tokens.deviation, 0.02, 0.001);
  EXPECT_GT(tokens.largest, 0.06);
  EXPECT_EQ(moments("image.norm.gain").mean, 1);
  EXPECT_EQ(moments("image.norm.gain").deviation, 0);
  EXPECT_EQ(moments("image.patch_embed.bias").largest, 0);
  EXPECT_FLOAT_EQ(static_cast<float>(moments("loss.logit_scale").mean), std::log(1 / 0.07f));
}

}  // namespace
}  // namespace navit
