// Embedders with the kernels of a GPU, run by the host twin or by one, against those of the CPU.
#include "worker/model/device/embed.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "worker/collective_threads.h"
#include "worker/model/device/test_machine.h"
#include "worker/model/device/train_step.h"
#include "worker/model/testing.h"

namespace navit {
namespace {

using Image = v1::ImageTowerSpec;

class DeviceEmbedTest : public MachineTest {
 protected:
  // A model with weights away from their initial values.
  struct Model {
    explicit Model(const ModelConfig& config, bool averaged = false)
        : table(config), state(table, averaged) {
      InitializeState(table, 3, &state);
      for (size_t i = 0; i < state.parameters.size(); i += 3) state.parameters.data()[i] += 0.05f;
      StartAverage(&state);
    }
    const ParameterTable table;
    ModelState state;
  };

  // Of three blocks, which share their room.
  static ModelConfig Deep(ModelConfig config) {
    config.image.depth = config.text.depth = 3;
    return config;
  }

  std::unique_ptr<PackEmbedder> OnMachine(const Model& model) {
    auto embedder =
        MakeDeviceEmbedder(&model.table, model.state.evaluated().data(), 64, device(), engine());
    EXPECT_TRUE(embedder.ok()) << embedder.status();
    return *std::move(embedder);
  }
  std::unique_ptr<PackEmbedder> OnCpu(const Model& model) {
    return MakeCpuEmbedder(&model.table, model.state.evaluated().data(), 64, &pool_);
  }

  // Two batches, of which the second is larger, with holes in and around them.
  static Embeddings EmbedBoth(PackEmbedder* embedder, const ModelConfig& config) {
    Embeddings embeddings;
    embeddings.keep_features = true;
    for (const auto& [first, shapes] : std::vector<std::pair<uint64_t, std::vector<ExampleShape>>>{
             {0, {{5, 3}, {0, 0}, {1, 1}}},
             {50, {{0, 0}, {0, 0}}},
             {100, {{20, 7}, {9, 24}, {16, 2}, {0, 0}}}}) {
      const absl::Status status =
          embedder->Embed(DrawBatch(config, 11, first, shapes), &embeddings);
      EXPECT_TRUE(status.ok()) << status;
    }
    return embeddings;
  }

  // Within what bf16 leaves of the largest of the numbers.
  static void ExpectClose(const std::vector<float>& want, const std::vector<float>& got,
                          const std::string& what) {
    ASSERT_EQ(want.size(), got.size()) << what;
    float largest = 0;
    for (const float value : want) largest = std::max(largest, std::abs(value));
    for (size_t i = 0; i < want.size(); ++i) {
      ASSERT_NEAR(want[i], got[i], 0.03f * largest) << what << " " << i;
    }
  }

  static void ExpectClose(const Embeddings& want, const Embeddings& got) {
    EXPECT_EQ(want.dim, got.dim);
    EXPECT_EQ(want.samples, got.samples);
    EXPECT_EQ(want.caption_hashes, got.caption_hashes);
    EXPECT_EQ(want.labels, got.labels);
    ExpectClose(want.images, got.images, "images");
    ExpectClose(want.texts, got.texts, "texts");
    ExpectClose(want.features, got.features, "features");
  }

  void Compare(const ModelConfig& config) {
    const Model model(config);
    const Embeddings want = EmbedBoth(OnCpu(model).get(), config);
    ASSERT_EQ(5u, want.samples.size());
    const Embeddings got = EmbedBoth(OnMachine(model).get(), config);
    ExpectClose(want, got);
    // What bf16 cannot give: these are no numbers of the CPU.
    EXPECT_NE(want.images, got.images);
  }

  kernels::ThreadPool pool_{1};
};

TEST_F(DeviceEmbedTest, ImagesAndTextsAreNearlyThoseOfTheCpu) { Compare(Deep(SmallModelConfig())); }

TEST_F(DeviceEmbedTest, PrefixTokensRopeAndNormAfterPooling) {
  ModelConfig config = Deep(SmallModelConfig());
  config.image.prefix_tokens = 3;
  config.position = Image::ROPE;
  config.image.pooling = config.text.pooling = Image::MEAN;
  config.image.norm_after_pooling = config.text.norm_after_pooling = true;
  Compare(config);
}

TEST_F(DeviceEmbedTest, LogitsAndFeaturesOfAClassifier) {
  Compare(Deep(SmallClassifierConfig(v1::LossSpec::SOFTMAX_CLASSIFICATION)));
}

// As of zero-shot prompts: nothing of an image, and labels.
Batch TextsAlone(const ModelConfig& config) {
  Batch batch = DrawBatch(config, 7, 0, {{1, 3}, {1, 1}, {1, 24}});
  batch.image_cu_seqlens = {0};
  batch.patches.clear();
  batch.grids.clear();
  batch.positions.clear();
  batch.caption_hashes.clear();
  batch.labels = {0, 1, 1};
  return batch;
}

TEST_F(DeviceEmbedTest, TextsAlone) {
  for (const auto interpolation : {Image::LINEAR, Image::LINEAR_ANTIALIAS}) {
    ModelConfig config = Deep(SmallModelConfig());
    config.position = Image::JOINT;
    config.coordinates = Image::FRACTIONAL;
    config.interpolation = interpolation;
    config.image.prefix_tokens = 1;
    const Model model(config);
    std::vector<float> want, got;
    ASSERT_TRUE(OnCpu(model)->EmbedTexts(TextsAlone(config), &want).ok());
    const auto embedder = OnMachine(model);
    const absl::Status status = embedder->EmbedTexts(TextsAlone(config), &got);
    ASSERT_TRUE(status.ok()) << status;
    ASSERT_EQ(3u * config.embedding_dim, want.size());
    ExpectClose(want, got, "texts");
    // Images go on after them.
    EXPECT_EQ(5u, EmbedBoth(embedder.get(), config).samples.size());
    EXPECT_TRUE(embedder->EmbedTexts(DrawBatch(config, 7, 0, {{0, 0}}), &got).ok());
    EXPECT_EQ(want.size(), got.size());
  }
}

TEST_F(DeviceEmbedTest, GivesItsWeights) {
  const Model model(SmallModelConfig());
  const size_t place = model.table.Find("loss.logit_scale").offset;
  EXPECT_EQ(model.state.parameters.data()[place], *OnMachine(model)->Parameter(place));
  EXPECT_EQ(model.state.parameters.data()[place], *OnCpu(model)->Parameter(place));
}

TEST_F(DeviceEmbedTest, AModelWithoutKernelsIsRefused) {
  ModelConfig config = SmallModelConfig();
  config.image.width = config.image.heads * 12;
  const Model model(config);
  const auto embedder =
      MakeDeviceEmbedder(&model.table, model.state.parameters.data(), 64, device(), engine());
  EXPECT_EQ(embedder.status().code(), absl::StatusCode::kUnimplemented);
}

// Steps with an embedder between them, which reads the weights where they are.
class StepsEmbedTest : public DeviceEmbedTest {
 protected:
  // After steps that move the weights far.
  std::unique_ptr<TrainStep> Train(Model* model, bool embed_between) {
    TrainStepOptions options;
    options.optimizer.lr = 0.02;
    options.optimizer.ema_decay = model->state.has_average() ? 0.7 : 0;
    auto step =
        *MakeDeviceTrainStep(&model->table, options, &model->state, &pool_, device(), engine(), {});
    const std::vector<Batch> packs = {DrawBatch(model->table.config(), 3, 0, {{5, 3}, {4, 2}}),
                                      DrawBatch(model->table.config(), 3, 9, {{8, 1}, {2, 9}})};
    EXPECT_TRUE(step->Prepare(packs).ok());
    for (uint64_t number = 1; number <= 3; ++number) {
      // As a run has it: the next packs are prepared before the evaluation.
      const auto gradients =
          step->ComputePrepared(alone_[0].get(), [&] { EXPECT_TRUE(step->Prepare(packs).ok()); });
      EXPECT_TRUE(gradients.ok()) << gradients.status();
      EXPECT_TRUE(step->Apply(*gradients, 0.5, number).ok());
      if (embed_between) EmbedOf(step.get(), model->table.config());
    }
    return step;
  }

  Embeddings EmbedOf(TrainStep* step, const ModelConfig& config) {
    const auto embedder = step->MakeEmbedder();
    EXPECT_TRUE(embedder.ok()) << embedder.status();
    return EmbedBoth(embedder->get(), config);
  }

  void Check(bool averaged) {
    const ModelConfig config = SmallModelConfig();
    Model model(config, averaged);
    const auto step = Train(&model, /*embed_between=*/true);
    // Of the device's weights, not of the host's, which are those of the start.
    const Embeddings before = EmbedBoth(OnCpu(model).get(), config);
    const Embeddings got = EmbedOf(step.get(), config);
    const auto embedder = *step->MakeEmbedder();
    const size_t place = model.table.Find("loss.logit_scale").offset;
    const float scale = *embedder->Parameter(place);
    ASSERT_TRUE(step->ReadState().ok());
    ASSERT_EQ(averaged, model.state.has_average());
    EXPECT_EQ(model.state.evaluated()[place], scale);
    const Embeddings want = EmbedBoth(OnCpu(model).get(), config);
    ExpectClose(want, got);
    EXPECT_GT(Farthest(before.images, got.images), 0.1f);
    if (averaged) {
      const auto other = MakeCpuEmbedder(&model.table, model.state.parameters.data(), 64, &pool_);
      EXPECT_GT(Farthest(EmbedBoth(other.get(), config).images, got.images), 0.1f);
    }
  }

  static float Farthest(const std::vector<float>& a, const std::vector<float>& b) {
    float farthest = 0;
    for (size_t i = 0; i < a.size(); ++i) farthest = std::max(farthest, std::abs(a[i] - b[i]));
    return farthest;
  }

  std::vector<std::unique_ptr<Collective>> alone_ = MakeThreadCollectives(1);
};

TEST_F(StepsEmbedTest, OfTheWeightsOnTheDevice) { Check(/*averaged=*/false); }

TEST_F(StepsEmbedTest, OfTheAverageWhereThereIsOne) { Check(/*averaged=*/true); }

TEST_F(StepsEmbedTest, ChangesNothingOfTheSteps) {
  std::vector<float> bits[2];
  for (const bool embed_between : {false, true}) {
    Model model(SmallModelConfig(), /*averaged=*/true);
    const auto step = Train(&model, embed_between);
    ASSERT_TRUE(step->ReadState().ok());
    bits[embed_between].assign(model.state.parameters.span().begin(),
                               model.state.parameters.span().end());
  }
  EXPECT_EQ(bits[0], bits[1]);
}

}  // namespace
}  // namespace navit
