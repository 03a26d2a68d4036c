// linear_tune's products (kernels/bench/tower_linears.h) are those that a training step asks for.
#include "kernels/bench/tower_linears.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <vector>

#include "kernels/cuda/host_twin/linear.h"
#include "kernels/cuda/linear_choices_file.h"
#include "worker/collective_threads.h"
#include "worker/model/device/test_machine.h"
#include "worker/model/device/train_step.h"
#include "worker/model/testing.h"

namespace navit {
namespace {

namespace cuda = kernels::cuda;

class RecordingEngine : public cuda::TwinLinearEngine {
 public:
  cuda::LaunchError Forward(const cuda::LinearForwardArgs& args, cuda::Stream stream) override {
    asked.insert(cuda::ShapeOf(args));
    return TwinLinearEngine::Forward(args, stream);
  }
  cuda::LaunchError BackwardInput(const cuda::LinearBackwardInputArgs& args,
                                  cuda::Stream stream) override {
    asked.insert(cuda::ShapeOf(args));
    return TwinLinearEngine::BackwardInput(args, stream);
  }
  cuda::LaunchError BackwardWeight(const cuda::LinearBackwardWeightArgs& args,
                                   cuda::Stream stream) override {
    asked.insert(cuda::ShapeOf(args));
    return TwinLinearEngine::BackwardWeight(args, stream);
  }

  std::set<cuda::LinearShape> asked;
};

class TowerLinearsTest : public MachineTest {
 protected:
  // What a step asks for over images of these tokens.
  std::set<cuda::LinearShape> Asked(const ModelConfig& config, int64_t tokens) {
    const ParameterTable table(config);
    ModelState state(table);
    InitializeState(table, 3, &state);
    RecordingEngine engine;
    const auto step = MakeDeviceTrainStep(&table, {}, &state, &pool_, device(), &engine, {});
    EXPECT_TRUE(step.ok()) << step.status();
    const std::vector<Batch> packs = {DrawBatch(config, 11, 0, {{tokens - 5, 3}, {5, 4}})};
    EXPECT_TRUE((*step)->ComputeGradients(packs, alone_[0].get()).ok());
    return engine.asked;
  }

  kernels::ThreadPool pool_{1};
  std::vector<std::unique_ptr<Collective>> alone_ = MakeThreadCollectives(1);
};

TEST_F(TowerLinearsTest, AreWhatTrainingStepsAskFor) {
  constexpr int64_t kTokens = 9, kTextTokens = 7;
  std::vector<ModelConfig> variants = {SmallModelConfig()};
  variants.push_back(variants[0]);
  variants.back().image.attention_bias = variants.back().image.map_bias = true;
  variants.push_back(variants[0]);
  variants.back().image.gelu_erf = true;
  variants.push_back(variants[0]);
  variants.back().image.layer_scale = 0.5f;
  variants.push_back(variants.back());
  variants.back().image.attention_bias = true;
  variants.push_back(variants[0]);
  variants.back().patch_bias = false;

  const ModelConfig& config = variants[0];
  std::set<cuda::LinearShape> image, text;
  for (const cuda::LinearShape& shape :
       cuda::TowerLinears(kTokens, config.image.width, config.image.mlp_dim, config.patch_dim())) {
    image.insert(shape);
  }
  for (const cuda::LinearShape& shape : cuda::TowerLinears(
           kTextTokens, config.text.width, config.text.mlp_dim, config.patch_dim())) {
    text.insert(shape);
  }
  std::set<cuda::LinearShape> asked;
  for (const ModelConfig& variant : variants) {
    for (const cuda::LinearShape& shape : Asked(variant, kTokens)) {
      asked.insert(shape);
      if (shape.rows == kTokens) {
        EXPECT_EQ(1u, image.count(shape)) << cuda::LinearShapeText(shape);
      }
      if (shape.rows == kTextTokens) {
        EXPECT_EQ(1u, text.count(shape)) << cuda::LinearShapeText(shape);
      }
    }
  }
  for (const cuda::LinearShape& shape : image) {
    EXPECT_EQ(1u, asked.count(shape)) << cuda::LinearShapeText(shape) << " is never asked for";
  }
}

}  // namespace
}  // namespace navit
