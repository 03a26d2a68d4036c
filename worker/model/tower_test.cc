// An image packed with others gives the embedding and the parameter gradients of that image alone.
#include "worker/model/tower.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "absl/types/span.h"
#include "worker/model/embed.h"
#include "worker/model/image_tower.h"
#include "worker/model/testing.h"
#include "worker/model/text_tower.h"

namespace navit {
namespace {

struct Variant {
  const char* name;
  ModelConfig config;
};

std::vector<Variant> Variants() {
  using Image = v1::ImageTowerSpec;
  std::vector<Variant> variants;
  const auto add = [&](const char* name) -> ModelConfig& {
    return variants.emplace_back(Variant{name, SmallModelConfig()}).config;
  };
  add("default_parts");
  add("product").position = Image::FACTORIZED_PRODUCT;
  add("stack").position = Image::FACTORIZED_STACK;
  add("sinusoidal").position = Image::SINUSOIDAL;
  add("fourier").position = Image::FOURIER;
  add("joint").position = Image::JOINT;
  add("rope").position = Image::ROPE;
  add("fractional").coordinates = Image::FRACTIONAL;
  ModelConfig& aspect = add("aspect_joint");
  aspect.position = Image::JOINT;
  aspect.coordinates = Image::ASPECT_FRACTIONAL;
  aspect.position_rows = 5;
  add("smallest_patches").patch_size = 2;
  add("odd_patches").patch_size = 7;
  add("largest_patches").patch_size = 64;
  ModelConfig& resampled = add("resampled_joint");
  resampled.position = Image::JOINT;
  resampled.coordinates = Image::FRACTIONAL;
  resampled.interpolation = Image::CUBIC_ANTIALIAS;
  resampled.position_rows = 5;
  for (const auto& [name, pooling] :
       {std::pair("mean", Image::MEAN), std::pair("max", Image::MAX)}) {
    ModelConfig& config = add(name);
    config.image.pooling = config.text.pooling = pooling;
  }
  ModelConfig& parts = add("other_parts");
  parts.image.qk_norm = false;
  parts.image.attention_bias = parts.image.gelu_erf = true;
  parts.text.causal = true;
  ModelConfig& timm = add("layer_norm_scale_and_registers");
  timm.image.layer_norm = timm.text.layer_norm = timm.image.map_bias = timm.text.map_bias = true;
  timm.image.layer_scale = timm.text.layer_scale = 0.5f;
  timm.image.prefix_tokens = 3;
  ModelConfig& gap = add("registers_and_norm_after_mean");
  gap.image.pooling = gap.text.pooling = Image::MEAN;
  gap.image.norm_after_pooling = gap.text.norm_after_pooling = true;
  gap.image.prefix_tokens = 4;
  gap.position = Image::ROPE;
  ModelConfig& clip = add("class_token_and_norm_before_blocks");
  clip.image.pooling = clip.text.pooling = Image::TOKEN;
  clip.image.layer_norm = clip.image.norm_pre = clip.text.norm_pre = true;
  clip.image.prefix_tokens = 1;
  clip.patch_bias = false;
  return variants;
}

class TowerTest : public ::testing::TestWithParam<Variant> {
 protected:
  TowerTest()
      : config_(GetParam().config),
        table_(config_),
        state_(table_),
        // Lengths around and across the SIMD width, with a hole in between.
        batch_(DrawBatch(config_, 5, 100, {{9, 3}, {1, 1}, {0, 0}, {33, 20}, {16, 8}, {7, 24}})) {
    InitializeState(table_, 3, &state_);
    // Biases and gains away from their initial values, which hide mistakes.
    for (size_t i = 0; i < state_.parameters.size(); i += 3) state_.parameters.data()[i] += 0.05f;
  }

  Embeddings EmbedAll(const Batch& batch, int threads) const {
    kernels::ThreadPool pool(threads);
    Embeddings embeddings;
    const auto embedder = MakeCpuEmbedder(&table_, state_.parameters.data(), 1, &pool);
    EXPECT_TRUE(embedder->Embed(batch, &embeddings).ok());
    return embeddings;
  }

  // Gradients of sum over examples of direction . (image embedding + text embedding), where the
  // direction depends on the sample.
  // `complete` is called with the gradients that the towers say are complete.
  std::vector<float> Gradients(
      const Batch& batch,
      const std::function<void(absl::Span<const float>)>& complete = [](auto) {}) const {
    kernels::ThreadPool pool(1);
    std::vector<float> gradients(table_.total_size(), 0.0f);
    std::vector<float> dembeddings;
    for (const uint64_t sample : batch.samples) {
      for (int64_t d = 0; d < config_.embedding_dim; ++d) {
        dembeddings.push_back(std::sin(static_cast<float>(sample * 7 + d * 3)));
      }
    }
    const auto run = [&](const auto& tower) {
      Arena count;
      tower.LayOut(batch, &count);
      AlignedBuffer buffer(count.used());
      Arena arena(buffer.data());
      const auto activations = tower.LayOut(batch, &arena);
      tower.Forward(state_.parameters.data(), batch, activations, pool);
      Arena scratch_count;
      tower.LayOutScratch(batch, &scratch_count);
      AlignedBuffer scratch_buffer(scratch_count.used());
      Arena scratch_arena(scratch_buffer.data());
      tower.Backward(state_.parameters.data(), gradients.data(), batch, activations,
                     dembeddings.data(), tower.LayOutScratch(batch, &scratch_arena),
                     table_.total_size(), pool,
                     [&](size_t count) { complete(absl::MakeSpan(gradients).first(count)); });
    };
    // The order of the parameter table.
    run(TextTower(table_));
    run(ImageTower(table_));
    return gradients;
  }

  const ModelConfig config_;
  const ParameterTable table_;
  ModelState state_;
  const Batch batch_;
};

TEST_P(TowerTest, PackedEmbeddingsEqualThoseOfTheImageAloneBitForBit) {
  for (const int threads : {1, 2}) {
    const Embeddings packed = EmbedAll(batch_, threads);
    ASSERT_EQ(packed.samples, batch_.samples);
    const int64_t dim = config_.embedding_dim;
    for (int64_t i = 0; i < batch_.examples(); ++i) {
      const Embeddings alone = EmbedAll(Single(batch_, config_, i), 1);
      ASSERT_EQ(alone.samples, std::vector<uint64_t>{batch_.samples[i]});
      for (int64_t d = 0; d < dim; ++d) {
        ASSERT_EQ(packed.images[i * dim + d], alone.images[d]) << i << " " << d;
        ASSERT_EQ(packed.texts[i * dim + d], alone.texts[d]) << i << " " << d;
      }
    }
  }
}

TEST_P(TowerTest, EmbeddingsHaveUnitLengthAndDiffer) {
  const Embeddings embeddings = EmbedAll(batch_, 1);
  const int64_t dim = config_.embedding_dim;
  for (int64_t i = 0; i < batch_.examples(); ++i) {
    double squares = 0;
    for (int64_t d = 0; d < dim; ++d) squares += std::pow(embeddings.images[i * dim + d], 2);
    EXPECT_NEAR(squares, 1, 1e-5);
  }
  EXPECT_NE(embeddings.images[0], embeddings.images[dim]);
  EXPECT_NE(embeddings.texts[0], embeddings.texts[dim]);
}

TEST_P(TowerTest, PackedGradientsAreTheSumOfThoseOfEachImageAlone) {
  const std::vector<float> packed = Gradients(batch_);
  std::vector<double> sum(packed.size(), 0.0);
  for (int64_t i = 0; i < batch_.examples(); ++i) {
    const std::vector<float> alone = Gradients(Single(batch_, config_, i));
    for (size_t j = 0; j < sum.size(); ++j) sum[j] += alone[j];
  }
  for (const ParameterInfo& info : table_.entries()) {
    if (info.name == "loss.logit_scale") continue;
    double largest = 0;
    for (size_t j = info.offset; j < info.offset + info.size; ++j) {
      largest = std::max(largest, std::abs(sum[j]));
    }
    EXPECT_GT(largest, 0) << info.name;
    for (size_t j = info.offset; j < info.offset + info.size; ++j) {
      ASSERT_NEAR(packed[j], sum[j], 2e-5 * largest + 1e-7) << info.name;
    }
  }
}

// What an all-reduce may take while the rest is still being computed.
TEST_P(TowerTest, GradientsSaidToBeCompleteStayAsTheyAre) {
  std::vector<std::vector<float>> told;
  const std::vector<float> gradients = Gradients(
      batch_, [&](auto complete) { told.emplace_back(complete.begin(), complete.end()); });
  // Of the heads and of all blocks, in parts.
  EXPECT_GT(told.size(), static_cast<size_t>(2 + 2 * (config_.image.depth + config_.text.depth)));
  for (const std::vector<float>& complete : told) {
    ASSERT_EQ(complete, std::vector<float>(gradients.begin(), gradients.begin() + complete.size()));
  }
}

// Five blocks that share their room against a forward pass with room for each.
TEST_P(TowerTest, AForwardPassAloneHasRoomForOneBlock) {
  ModelConfig config = config_;
  config.image.depth = config.text.depth = 5;
  const ParameterTable table(config);
  ModelState state(table);
  InitializeState(table, 3, &state);
  kernels::ThreadPool pool(1);
  Embeddings embeddings;
  const auto embedder = MakeCpuEmbedder(&table, state.parameters.data(), 1, &pool);
  ASSERT_TRUE(embedder->Embed(batch_, &embeddings).ok());
  const ImageTower tower(table);
  Arena count;
  tower.LayOut(batch_, &count);
  AlignedBuffer buffer(count.used());
  Arena arena(buffer.data());
  const ImageTowerActivations activations = tower.LayOut(batch_, &arena);
  tower.Forward(state.parameters.data(), batch_, activations, pool);
  const float* const kept = activations.tower.embeddings();
  EXPECT_EQ(std::vector<float>(kept, kept + embeddings.images.size()), embeddings.images);

  const auto room = [&](int64_t depth, Keep keep) {
    config.image.depth = depth;
    const ParameterTable of_depth(config);
    Arena counted;
    ImageTower(of_depth).LayOut(batch_, &counted, keep);
    return counted.used();
  };
  EXPECT_LT(room(1, Keep::kAll), room(5, Keep::kAll));
  EXPECT_EQ(room(1, Keep::kAll), room(5, Keep::kOutputs));
}

TEST_P(TowerTest, ABatchOfHolesHasNoEmbeddings) {
  const Embeddings embeddings = EmbedAll(DrawBatch(config_, 1, 0, {{0, 0}, {0, 0}}), 1);
  EXPECT_EQ(embeddings.dim, config_.embedding_dim);
  EXPECT_TRUE(embeddings.images.empty());
}

INSTANTIATE_TEST_SUITE_P(Variants, TowerTest, ::testing::ValuesIn(Variants()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace navit
