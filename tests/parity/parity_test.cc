// Our model against PyTorch's float64 values (make_values.py).
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/parity/drawn.h"
#include "tests/parity/values.h"
#include "worker/collective_threads.h"
#include "worker/model/embed.h"
#include "worker/model/train_step.h"

namespace navit {
namespace {

ModelConfig BaseConfig() {
  ModelConfig config;
  config.image = {.width = 24, .depth = 2, .mlp_dim = 40, .heads = 2};
  config.text = {.width = 16, .depth = 1, .mlp_dim = 28, .heads = 2};
  config.patch_size = 4;
  config.max_grid = 8;
  config.position_rows = 8;
  config.max_text_tokens = 12;
  config.embedding_dim = 20;
  return config;
}

struct Case {
  explicit Case(std::string case_name) : name(std::move(case_name)) {}

  std::string name;
  ModelConfig config = BaseConfig();
  TrainStepOptions options;
};

class Model {
 public:
  explicit Model(const Case& c)
      : table_(c.config),
        state_(table_, c.options.optimizer.ema_decay > 0),
        step_(&table_, c.options, &state_, &pool_, nullptr),
        collectives_(MakeThreadCollectives(1)) {
    DrawParameters(table_, &state_);
    StartAverage(&state_);
  }

  StepGradients Compute(uint64_t first) {
    const Batch batch = DrawnBatch(table_.config(), first);
    const auto result = step_.ComputeGradients({&batch, 1}, collectives_[0].get());
    EXPECT_TRUE(result.ok()) << result.status();
    return result.value_or(StepGradients());
  }

  absl::Span<const float> Of(const AlignedBuffer& buffer, const ParameterInfo& info) const {
    return absl::MakeConstSpan(buffer.data() + info.offset, info.size);
  }

  kernels::ThreadPool pool_{2};
  ParameterTable table_;
  ModelState state_;
  TrainStep step_;
  std::vector<std::unique_ptr<Collective>> collectives_;
};

class ParityTest : public testing::TestWithParam<Case> {};

TEST_P(ParityTest, EmbeddingsLossAndGradients) {
  const Case& c = GetParam();
  Model model(c);
  Embeddings embeddings;
  const auto embedder =
      MakeCpuEmbedder(&model.table_, model.state_.parameters.data(), 1, &model.pool_);
  ASSERT_TRUE(embedder->Embed(DrawnBatch(c.config, 0), &embeddings).ok());
  ExpectParity(c.name + "/images", embeddings.images, kForwardTolerance);
  if (c.config.has_text()) ExpectParity(c.name + "/texts", embeddings.texts, kForwardTolerance);
  const float loss = static_cast<float>(model.Compute(0).loss);
  ExpectParity(c.name + "/loss", {&loss, 1}, kForwardTolerance);
  for (const ParameterInfo& info : model.table_.entries()) {
    ExpectParity(c.name + "/gradient/" + info.name, model.Of(model.state_.gradients, info),
                 kGradientTolerance);
  }
}

void Classify(v1::LossSpec::Kind kind, double smoothing, Case* c) {
  c->config.loss = kind;
  c->config.classes = 7;
  c->options.loss.set_kind(kind);
  c->options.loss.set_label_smoothing(smoothing);
}

std::vector<Case> Cases() {
  std::vector<Case> cases;
  using Image = v1::ImageTowerSpec;
  const auto add = [&](const char* name) -> Case& { return cases.emplace_back(name); };
  const auto add_position = [&](const char* name, Image::PositionEmbedding position,
                                Image::Coordinates coordinates, int64_t rows) -> Case& {
    Case& c = add(name);
    c.config.position = position;
    c.config.coordinates = coordinates;
    c.config.position_rows = rows;
    return c;
  };
  add("default");
  add_position("product", Image::FACTORIZED_PRODUCT, Image::ABSOLUTE, 8);
  add_position("stack", Image::FACTORIZED_STACK, Image::ABSOLUTE, 8);
  add_position("sinusoidal", Image::SINUSOIDAL, Image::ABSOLUTE, 8);
  add_position("fourier", Image::FOURIER, Image::ABSOLUTE, 8);
  add_position("joint", Image::JOINT, Image::ABSOLUTE, 8);
  add_position("rope", Image::ROPE, Image::ABSOLUTE, 8);
  add_position("fractional_sum", Image::FACTORIZED_SUM, Image::FRACTIONAL, 6);
  add_position("aspect_sum", Image::FACTORIZED_SUM, Image::ASPECT_FRACTIONAL, 11);
  add_position("fractional_product", Image::FACTORIZED_PRODUCT, Image::FRACTIONAL, 8);
  add_position("fractional_joint", Image::JOINT, Image::FRACTIONAL, 5);
  add_position("aspect_fourier", Image::FOURIER, Image::ASPECT_FRACTIONAL, 8);
  add_position("aspect_rope", Image::ROPE, Image::ASPECT_FRACTIONAL, 8).config.image.qk_norm =
      false;
  for (const auto& [name, pooling] :
       {std::pair("mean", Image::MEAN), std::pair("max", Image::MAX)}) {
    Case& c = add(name);
    c.config.image.pooling = c.config.text.pooling = pooling;
  }
  Case& parts = add("parts");
  parts.config.image.qk_norm = false;
  parts.config.image.attention_bias = true;
  parts.config.image.gelu_erf = true;
  parts.config.image.eps = 1e-5f;
  parts.config.text.causal = true;
  parts.config.text.gelu_erf = true;
  parts.options.loss.set_equal_captions(v1::LossSpec::NEGATIVES);
  add("positives").options.loss.set_equal_captions(v1::LossSpec::POSITIVES);
  for (const auto& [name, equal] : {std::pair("sigmoid", v1::LossSpec::IGNORE),
                                    std::pair("sigmoid_positives", v1::LossSpec::POSITIVES)}) {
    Case& c = add(name);
    c.config.loss = v1::LossSpec::SIGMOID;
    c.options.loss.set_kind(v1::LossSpec::SIGMOID);
    c.options.loss.set_equal_captions(equal);
  }
  Case& registers = add("registers");
  for (TowerConfig* tower : {&registers.config.image, &registers.config.text}) {
    tower->layer_norm = tower->map_bias = true;
    tower->layer_scale = 1;
  }
  registers.config.image.prefix_tokens = 3;
  Case& gap = add_position("gap", Image::ROPE, Image::ABSOLUTE, 8);
  for (TowerConfig* tower : {&gap.config.image, &gap.config.text}) {
    tower->pooling = Image::MEAN;
    tower->norm_after_pooling = true;
  }
  gap.config.image.prefix_tokens = 4;
  Case& clip = add("clip");
  clip.config.patch_bias = false;
  clip.config.image.layer_norm = true;
  for (TowerConfig* tower : {&clip.config.image, &clip.config.text}) {
    tower->norm_pre = true;
    tower->pooling = Image::TOKEN;
  }
  clip.config.image.prefix_tokens = 1;
  clip.config.image.eps = 1e-5f;
  clip.config.text.causal = true;
  Classify(v1::LossSpec::SOFTMAX_CLASSIFICATION, 0, &add("softmax_classification"));
  Classify(v1::LossSpec::SOFTMAX_CLASSIFICATION, 0.1, &add("softmax_smoothed"));
  Classify(v1::LossSpec::SIGMOID_CLASSIFICATION, 0, &add("sigmoid_classification"));
  Classify(v1::LossSpec::SIGMOID_CLASSIFICATION, 0.1, &add("sigmoid_smoothed"));
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Cases, ParityTest, testing::ValuesIn(Cases()),
                         [](const auto& info) { return info.param.name; });

// AdamW with clipping on five batches in turn.
void ExpectParityOfTraining(Case c) {
  c.options.optimizer.lr = 2e-3;
  c.options.optimizer.schedule.kind = v1::ScheduleSpec::CONSTANT;
  c.options.optimizer.schedule.warmup_fraction = 0;
  Model model(c);
  const auto expect = [&](const char* what, const AlignedBuffer& buffer) {
    for (const ParameterInfo& info : model.table_.entries()) {
      ExpectParity(absl::StrCat(c.name, "/", what, "/", info.name), model.Of(buffer, info),
                   kForwardTolerance);
    }
  };
  std::vector<float> losses;
  for (int step = 0; step < 10; ++step) {
    const StepGradients gradients = model.Compute(10 * (step % 5));
    losses.push_back(static_cast<float>(gradients.loss));
    EXPECT_FALSE(model.step_.Apply(gradients, 0.5, 1)->skipped);
    if (step == 0) expect("after_one_step", model.state_.parameters);
  }
  ExpectParity(c.name + "/losses", losses, 1e-4);
  if (model.state_.has_average()) expect("average", model.state_.average);
}

TEST(Parity, TenStepsOfTraining) { ExpectParityOfTraining(Case("training")); }

TEST(Parity, TenStepsOfClassificationWithAMovingAverage) {
  Case c("training_classification");
  Classify(v1::LossSpec::SIGMOID_CLASSIFICATION, 0.1, &c);
  c.options.optimizer.ema_decay = 0.9;
  ExpectParityOfTraining(c);
}

}  // namespace
}  // namespace navit
