// The towers with the kernels of a GPU, run by the host twin or by one, against the towers on the
// CPU: the same parameters and batch, rounded where a GPU rounds.
#include "worker/model/device/towers.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "worker/model/device/test_machine.h"
#include "worker/model/parameters.h"
#include "worker/model/testing.h"

namespace navit {
namespace {

using kernels::cuda::Bf16;
using kernels::cuda::Bf16ToFloat;
using kernels::cuda::FloatToBf16;
using Image = v1::ImageTowerSpec;

std::vector<float> Rounded(std::vector<float> values) {
  for (float& value : values) value = Bf16ToFloat(FloatToBf16(value));
  return values;
}

// What a forward and a backward pass made.
struct Pass {
  std::vector<float> embeddings;
  std::vector<float> gradients;
};

class DeviceTowersTest : public MachineTest {
 protected:
  // Parameters that bf16 holds, so that both sides compute from the same.
  std::vector<float> Parameters(const ParameterTable& table) {
    ModelState state(table);
    InitializeState(table, 3, &state);
    std::mt19937 random(5);
    std::normal_distribution<float> normal(0, 0.1f);
    std::vector<float> values(state.parameters.span().begin(), state.parameters.span().end());
    for (const ParameterInfo& info : table.entries()) {
      for (size_t i = 0; i < info.size; ++i) values[info.offset + i] += normal(random);
    }
    return Rounded(values);
  }

  std::vector<float> OutputGradients(const ModelConfig& config, int64_t examples) {
    std::mt19937 random(7);
    std::normal_distribution<float> normal;
    std::vector<float> values(examples * config.image_outputs());
    for (float& value : values) value = normal(random);
    return Rounded(values);
  }

  template <template <typename> class TowerType>
  Pass OnCpu(const ParameterTable& table, const std::vector<float>& parameters, const Batch& batch,
             const std::vector<float>& doutputs) {
    kernels::ThreadPool pool(1);
    const TowerType<CpuOps> tower(table);
    Arena count;
    tower.LayOut(batch, &count);
    AlignedBuffer buffer(count.used());
    Arena arena(buffer.data());
    const auto activations = tower.LayOut(batch, &arena);
    Arena scratch_count;
    tower.LayOutScratch(batch, &scratch_count);
    AlignedBuffer scratch(scratch_count.used());
    Arena scratch_arena(scratch.data());
    Pass pass;
    pass.gradients.resize(table.total_size());
    tower.Forward(parameters.data(), batch, activations, pool);
    const float* outputs = Outputs(activations);
    pass.embeddings.assign(outputs, outputs + doutputs.size());
    tower.Backward(parameters.data(), pass.gradients.data(), batch, activations, doutputs.data(),
                   tower.LayOutScratch(batch, &scratch_arena), table.total_size(), pool, {});
    return pass;
  }

  template <typename T>
  DeviceBuffer Upload(const std::vector<T>& values) {
    DeviceBuffer buffer = *DeviceBuffer::Make(device(), values.size() * sizeof(T));
    EXPECT_TRUE(device()->Copy(buffer.data(), values.data(), buffer.bytes(), nullptr).ok());
    return buffer;
  }
  template <typename T>
  std::vector<T> Download(const T* from, size_t count) {
    std::vector<T> values(count);
    EXPECT_TRUE(device()->Copy(values.data(), from, count * sizeof(T), nullptr).ok());
    EXPECT_TRUE(device()->Synchronize(nullptr).ok());
    return values;
  }

  template <template <typename> class TowerType>
  Pass OnMachine(const ParameterTable& table, const std::vector<float>& parameters,
                 const Batch& batch, const std::vector<float>& doutputs) {
    std::vector<Bf16> weights, dvalues;
    for (const float value : parameters) weights.push_back(FloatToBf16(value));
    for (const float value : doutputs) dvalues.push_back(FloatToBf16(value));
    const DeviceBuffer parameter_memory = Upload(parameters), weight_memory = Upload(weights);
    const DeviceBuffer output_gradients = Upload(dvalues);
    const DeviceBuffer gradients = Upload(std::vector<float>(table.total_size()));
    const float* const device_parameters = static_cast<float*>(parameter_memory.data());
    DeviceContext context(device(), nullptr, engine(), device_parameters,
                          static_cast<Bf16*>(weight_memory.data()));
    DeviceBatchBuffer batches;
    const absl::StatusOr<DeviceBatch> uploaded =
        batches.Fill(table.config(), batch, device(), nullptr);
    EXPECT_TRUE(uploaded.ok()) << uploaded.status();

    const TowerType<DeviceOps> tower(table);
    Arena count;
    tower.LayOut(*uploaded, &count);
    const DeviceBuffer buffer = *DeviceBuffer::Make(device(), count.used() * sizeof(float));
    Arena arena(static_cast<float*>(buffer.data()));
    const auto activations = tower.LayOut(*uploaded, &arena);
    Arena scratch_count;
    tower.LayOutScratch(*uploaded, &scratch_count);
    const DeviceBuffer scratch =
        *DeviceBuffer::Make(device(), scratch_count.used() * sizeof(float));
    Arena scratch_arena(static_cast<float*>(scratch.data()));
    tower.Forward(device_parameters, *uploaded, activations, context);
    Pass pass;
    if (context.ok()) {
      for (const Bf16 value : Download<Bf16>(Outputs(activations), doutputs.size())) {
        pass.embeddings.push_back(Bf16ToFloat(value));
      }
    }
    tower.Backward(device_parameters, static_cast<float*>(gradients.data()), *uploaded, activations,
                   static_cast<Bf16*>(output_gradients.data()),
                   tower.LayOutScratch(*uploaded, &scratch_arena), table.total_size(), context, {});
    EXPECT_TRUE(context.ok()) << context.status();
    pass.gradients = Download(static_cast<const float*>(gradients.data()), table.total_size());
    return pass;
  }

  // Of the length of each tensor's gradient: what bf16 leaves of a pass. More with the maximum over
  // tokens, where two that round to the same number share it otherwise than on the CPU.
  static double GradientShare(const ModelConfig& config) {
    return config.image.pooling == Image::MAX ? 0.2 : 0.04;
  }

  void Compare(const ParameterTable& table, const Pass& want, const Pass& got,
               const std::string& tower) {
    ASSERT_EQ(want.embeddings.size(), got.embeddings.size());
    for (size_t i = 0; i < want.embeddings.size(); ++i) {
      ASSERT_NEAR(want.embeddings[i], got.embeddings[i], 0.03) << tower << " output " << i;
    }
    for (const ParameterInfo& info : table.entries()) {
      if (info.name.rfind(tower, 0) != 0) continue;
      double difference = 0, length = 0;
      for (size_t i = info.offset; i < info.offset + info.size; ++i) {
        difference += std::pow(want.gradients[i] - got.gradients[i], 2);
        length += std::pow(want.gradients[i], 2);
      }
      EXPECT_GT(length, 0) << info.name;
      EXPECT_LT(std::sqrt(difference), GradientShare(table.config()) * std::sqrt(length))
          << info.name;
    }
  }

  template <template <typename> class TowerType>
  void RunBoth(const ModelConfig& config, const std::string& tower) {
    const ParameterTable table(config);
    const std::vector<float> parameters = Parameters(table);
    const Batch batch = DrawBatch(config, 11, 0, {{5, 3}, {1, 1}, {0, 0}, {17, 9}, {20, 24}});
    const std::vector<float> doutputs = OutputGradients(config, batch.examples());
    Compare(table, OnCpu<TowerType>(table, parameters, batch, doutputs),
            OnMachine<TowerType>(table, parameters, batch, doutputs), tower);
  }

  // On the machine: a batch of several examples against each of them as a batch of its own. The
  // bits are not the same: cuBLASLt's sums depend on the number of rows.
  template <template <typename> class TowerType>
  void RunPackedAndAlone(const ModelConfig& config, const std::string& tower) {
    const ParameterTable table(config);
    const std::vector<float> parameters = Parameters(table);
    const Batch batch = DrawBatch(config, 11, 0, {{5, 3}, {1, 1}, {17, 9}, {20, 24}});
    const std::vector<float> doutputs = OutputGradients(config, batch.examples());
    Pass alone;
    alone.gradients.resize(table.total_size());
    for (int64_t i = 0; i < batch.examples(); ++i) {
      const auto first = doutputs.begin() + i * config.image_outputs();
      const Pass one = OnMachine<TowerType>(table, parameters, Single(batch, config, i),
                                            {first, first + config.image_outputs()});
      alone.embeddings.insert(alone.embeddings.end(), one.embeddings.begin(), one.embeddings.end());
      for (size_t j = 0; j < one.gradients.size(); ++j) alone.gradients[j] += one.gradients[j];
    }
    Compare(table, alone, OnMachine<TowerType>(table, parameters, batch, doutputs), tower);
  }

  static auto Outputs(const ImageTowerActivations<CpuOps>& a) { return a.tower.embeddings(); }
  static auto Outputs(const ImageTowerActivations<DeviceOps>& a) { return a.tower.embeddings(); }
  template <typename Ops>
  static auto Outputs(const TowerActivations<Ops>& a) {
    return a.embeddings();
  }
};

TEST_F(DeviceTowersTest, ImageTower) {
  ModelConfig config = SmallModelConfig();
  config.image.depth = 2;
  RunBoth<ImageTower>(config, "image.");
}

TEST_F(DeviceTowersTest, TextTower) { RunBoth<TextTower>(SmallModelConfig(), "text."); }

TEST_F(DeviceTowersTest, PackedImagesEqualThoseAlone) {
  ModelConfig config = SmallModelConfig();
  config.image.depth = 2;
  RunPackedAndAlone<ImageTower>(config, "image.");
}

TEST_F(DeviceTowersTest, PackedTextsEqualThoseAlone) {
  RunPackedAndAlone<TextTower>(SmallModelConfig(), "text.");
}

// Of 1280 / 16 and 1152 / 16 (ViT-H, SoViT) and others; one tower of each size.
TEST_F(DeviceTowersTest, SizesOfHeads) {
  for (const int64_t head_dim : {32, 72, 80, 128}) {
    SCOPED_TRACE(head_dim);
    ModelConfig config = SmallModelConfig();
    config.image.width = config.image.heads * head_dim;
    config.position = head_dim == 80 ? Image::FACTORIZED_SUM : Image::ROPE;
    RunBoth<ImageTower>(config, "image.");
  }
}

TEST_F(DeviceTowersTest, CausalTextWithBiases) {
  ModelConfig config = SmallModelConfig();
  config.text.causal = true;
  config.text.attention_bias = true;
  config.text.map_bias = true;
  RunBoth<TextTower>(config, "text.");
}

TEST_F(DeviceTowersTest, LayerNormLayerScaleAndErf) {
  ModelConfig config = SmallModelConfig();
  config.image.gelu_erf = true;
  config.image.layer_norm = true;
  config.image.layer_scale = 0.5f;
  config.image.norm_pre = true;
  RunBoth<ImageTower>(config, "image.");
}

TEST_F(DeviceTowersTest, TextOfItsLastToken) {
  ModelConfig config = SmallModelConfig();
  config.text.pooling = Image::TOKEN;
  RunBoth<TextTower>(config, "text.");
}

TEST_F(DeviceTowersTest, PrefixTokensBesideAttentionPooling) {
  ModelConfig config = SmallModelConfig();
  config.image.depth = 2;
  config.image.prefix_tokens = 3;
  RunBoth<ImageTower>(config, "image.");
}

TEST_F(DeviceTowersTest, PrefixTokensDoNotTurn) {
  ModelConfig config = SmallModelConfig();
  config.image.prefix_tokens = 2;
  config.position = Image::ROPE;
  RunBoth<ImageTower>(config, "image.");
}

TEST_F(DeviceTowersTest, RopeAndNothingWithoutQkNorm) {
  for (const auto position : {Image::ROPE, Image::FACTORIZED_SUM}) {
    ModelConfig config = SmallModelConfig();
    config.image.qk_norm = false;
    config.position = position;
    config.image.prefix_tokens = position == Image::ROPE ? 1 : 0;
    RunBoth<ImageTower>(config, "image.");
  }
}

TEST_F(DeviceTowersTest, PrefixTokenThatIsPooled) {
  ModelConfig config = SmallModelConfig();
  config.image.prefix_tokens = 1;
  config.image.norm_pre = true;
  config.image.pooling = Image::TOKEN;
  RunBoth<ImageTower>(config, "image.");
}

TEST_F(DeviceTowersTest, PositionsAndPoolings) {
  for (const auto position : {Image::FACTORIZED_STACK, Image::JOINT, Image::ROPE}) {
    ModelConfig config = SmallModelConfig();
    config.position = position;
    config.coordinates = Image::FRACTIONAL;
    config.image.pooling = position == Image::ROPE ? Image::MAX : Image::MEAN;
    RunBoth<ImageTower>(config, "image.");
  }
}

TEST_F(DeviceTowersTest, ProductsAndWavesOfPositions) {
  for (const auto position : {Image::FACTORIZED_PRODUCT, Image::SINUSOIDAL, Image::FOURIER}) {
    ModelConfig config = SmallModelConfig();
    config.position = position;
    RunBoth<ImageTower>(config, "image.");
  }
}

TEST_F(DeviceTowersTest, ResampledPositions) {
  ModelConfig config = SmallModelConfig();
  config.position = Image::JOINT;
  config.coordinates = Image::FRACTIONAL;
  config.interpolation = Image::LINEAR_ANTIALIAS;
  RunBoth<ImageTower>(config, "image.");
}

TEST_F(DeviceTowersTest, Classifiers) {
  for (const int64_t classes : {8, 7}) {
    ModelConfig config = SmallClassifierConfig(v1::LossSpec::SOFTMAX_CLASSIFICATION);
    config.classes = classes;
    RunBoth<ImageTower>(config, "image.");
  }
}

// 12, 27, 300 and 588 numbers, with and without a bias.
TEST_F(DeviceTowersTest, PatchesThatAreNoWholeUnits) {
  for (const int64_t patch_size : {2, 3, 10, 14}) {
    SCOPED_TRACE(patch_size);
    ModelConfig config = SmallModelConfig();
    config.patch_size = patch_size;
    config.patch_bias = patch_size != 10;
    RunBoth<ImageTower>(config, "image.");
  }
}

TEST_F(DeviceTowersTest, MlpsAndEmbeddingsThatAreNoWholeUnits) {
  for (const bool erf : {false, true}) {
    ModelConfig config = SmallModelConfig();
    config.image.mlp_dim = config.text.mlp_dim = 50;
    config.image.gelu_erf = config.text.gelu_erf = erf;
    config.embedding_dim = 21;
    RunBoth<ImageTower>(config, "image.");
    RunBoth<TextTower>(config, "text.");
  }
}

TEST_F(DeviceTowersTest, WhatHasNoKernelIsNamed) {
  DeviceContext context(device(), nullptr, engine(), nullptr, nullptr);
  DeviceOps::SegmentAttentionForward({.tokens = 1, .segments = 1, .heads = 1, .head_dim = 12},
                                     context);
  EXPECT_EQ(context.status().message(), "attention with heads of 12 has no kernel on a GPU yet");
}

}  // namespace
}  // namespace navit
