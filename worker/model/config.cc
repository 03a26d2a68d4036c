#include "worker/model/config.h"

#include <cmath>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/job_kind.h"
#include "common/status_macros.h"

namespace navit {
namespace {

struct Preset {
  const char* name;
  TowerConfig size;
};

constexpr Preset kPresets[] = {
    {"mu", {32, 1, 128, 2}},   {"Ti", {192, 12, 768, 3}},  {"S", {384, 12, 1536, 6}},
    {"M", {512, 12, 2048, 8}}, {"B", {768, 12, 3072, 12}}, {"L", {1024, 24, 4096, 16}},
};

absl::StatusOr<TowerConfig> FindPreset(const std::string& field, const std::string& name) {
  for (const Preset& preset : kPresets) {
    if (name == preset.name) return preset.size;
  }
  return absl::InvalidArgumentError(
      absl::StrCat(field, ": must be mu, Ti, S, M, B or L, is \"", name, "\""));
}

// `size` with the overrides of `spec`, checked.
absl::StatusOr<TowerConfig> Override(const std::string& field, TowerConfig size,
                                     const v1::TowerSize& spec) {
  if (spec.has_width()) size.width = spec.width();
  if (spec.has_depth()) size.depth = spec.depth();
  if (spec.has_mlp_dim()) size.mlp_dim = spec.mlp_dim();
  if (spec.has_heads()) size.heads = spec.heads();
  if (size.width < 1) return absl::InvalidArgumentError(absl::StrCat(field, ".width: must be > 0"));
  if (size.depth < 1) return absl::InvalidArgumentError(absl::StrCat(field, ".depth: must be > 0"));
  if (size.mlp_dim < 1) {
    return absl::InvalidArgumentError(absl::StrCat(field, ".mlp_dim: must be > 0"));
  }
  if (size.heads < 1 || size.width % size.heads != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(field, ".heads: must divide width ", size.width, ", is ", size.heads));
  }
  return size;
}

void ApplyEncoder(const v1::EncoderSpec& encoder, v1::ImageTowerSpec::Pooling pooling,
                  TowerConfig* tower) {
  if (encoder.has_eps()) tower->eps = static_cast<float>(encoder.eps());
  if (encoder.has_qk_norm()) tower->qk_norm = encoder.qk_norm();
  tower->attention_bias = encoder.attention_bias();
  tower->gelu_erf = encoder.gelu() == v1::EncoderSpec::ERF;
  tower->layer_norm = encoder.norm() == v1::EncoderSpec::LAYER;
  tower->layer_scale = static_cast<float>(encoder.layer_scale());
  tower->norm_pre = encoder.norm_before_blocks();
  tower->norm_after_pooling = encoder.norm_after_pooling();
  tower->map_bias = encoder.map_bias();
  if (pooling != v1::ImageTowerSpec::POOLING_UNSPECIFIED) tower->pooling = pooling;
}

// What the position embedding asks of the other numbers.
absl::Status CheckPosition(const ModelConfig& config) {
  using Image = v1::ImageTowerSpec;
  if (config.position_rows < 1) {
    return absl::InvalidArgumentError("model.image.position_rows: must be > 0");
  }
  if (config.coordinates == Image::ABSOLUTE && config.position_rows != config.max_grid) {
    return absl::InvalidArgumentError(
        absl::StrCat("model.image.position_rows: must be max_grid (", config.max_grid,
                     ") for absolute coordinates, is ", config.position_rows));
  }
  if (config.resamples_positions() &&
      (config.position != Image::JOINT || config.coordinates == Image::ABSOLUTE)) {
    return absl::InvalidArgumentError(
        "model.image.position_interpolation: must be linear unless position_embedding is joint and "
        "position_coordinates are not absolute");
  }
  int64_t divisor = 1;
  int64_t number = config.image.width;
  if (config.position == Image::FACTORIZED_STACK || config.position == Image::FOURIER) divisor = 2;
  if (config.position == Image::SINUSOIDAL) divisor = 4;
  if (config.position == Image::ROPE) {
    divisor = 4;
    number = config.image.head_dim();
  }
  if (number % divisor != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("model.image.position_embedding: needs a ",
                     config.position == Image::ROPE ? "head (width / heads)" : "width",
                     " that is a multiple of ", divisor, ", it is ", number));
  }
  return absl::OkStatus();
}

double TowerFlops(const TowerConfig& tower, int64_t outputs, absl::Span<const int64_t> lengths,
                  double input_flops_per_token) {
  const double width = static_cast<double>(tower.width);
  const double mlp = 4.0 * width * static_cast<double>(tower.mlp_dim);
  // QKV and output projection: (3 + 1) D^2 multiply-adds.
  const double block = 8.0 * width * width + mlp;
  // MAP pooling: keys and values of each token, scores and weighted sum; per segment the output
  // projection and the MLP.
  const bool map = tower.pooling == v1::ImageTowerSpec::MAP;
  const double keys_and_values = map ? 4.0 * width * width : 0.0;
  const double per_token = input_flops_per_token + keys_and_values;
  const double depth = static_cast<double>(tower.depth);
  const double per_segment =
      (map ? 2.0 * width * width + mlp : 0.0) + 2.0 * width * static_cast<double>(outputs);
  double flops = 0;
  for (const int64_t length : lengths) {
    if (length == 0) continue;
    const double tokens = static_cast<double>(length);
    const double all = tokens + static_cast<double>(tower.prefix_tokens);
    flops += tokens * per_token + all * depth * block + per_segment +
             4.0 * width * (depth * all * all + (map ? tokens : 0.0));
  }
  return flops;
}

}  // namespace

absl::StatusOr<ModelConfig> ResolveModelConfig(const v1::ModelSpec& model,
                                               const v1::PreprocessSpec& preprocess,
                                               const v1::LossSpec& loss) {
  ModelConfig config;
  if (loss.kind() != v1::LossSpec::KIND_UNSPECIFIED) config.loss = loss.kind();
  if (IsClassification(config.loss)) {
    if (model.classes() < 2) {
      return absl::InvalidArgumentError("model.classes: must be >= 2 with a classification loss");
    }
    config.classes = model.classes();
  }
  NAVIT_ASSIGN_OR_RETURN(const TowerConfig image_preset,
                         FindPreset("model.image.preset", model.image().preset()));
  NAVIT_ASSIGN_OR_RETURN(config.image,
                         Override("model.image.size", image_preset, model.image().size()));
  TowerConfig text_preset = config.image;
  if (!model.text().preset().empty()) {
    NAVIT_ASSIGN_OR_RETURN(text_preset, FindPreset("model.text.preset", model.text().preset()));
  }
  NAVIT_ASSIGN_OR_RETURN(config.text,
                         Override("model.text.size", text_preset, model.text().size()));
  ApplyEncoder(model.image().encoder(), model.image().pooling(), &config.image);
  ApplyEncoder(model.text().encoder(), model.text().pooling(), &config.text);
  config.text.causal = model.text().causal();
  config.image.prefix_tokens = model.image().prefix_tokens();
  if (model.image().has_patch_bias()) config.patch_bias = model.image().patch_bias();
  if (config.image.pooling == v1::ImageTowerSpec::TOKEN && config.image.prefix_tokens == 0) {
    return absl::InvalidArgumentError(
        "model.image.pooling: token needs model.image.prefix_tokens of at least 1");
  }
  config.patch_size = model.image().patch_size();
  config.max_grid = model.image().max_grid();
  if (model.image().position_embedding() != v1::ImageTowerSpec::POSITION_EMBEDDING_UNSPECIFIED) {
    config.position = model.image().position_embedding();
  }
  if (model.image().position_coordinates() != v1::ImageTowerSpec::COORDINATES_UNSPECIFIED) {
    config.coordinates = model.image().position_coordinates();
  }
  if (model.image().position_interpolation() != v1::ImageTowerSpec::INTERPOLATION_UNSPECIFIED) {
    config.interpolation = model.image().position_interpolation();
  }
  config.position_rows = model.image().has_position_rows()
                             ? static_cast<int64_t>(model.image().position_rows())
                             : config.max_grid;
  if (config.has_text()) config.max_text_tokens = model.text().max_tokens();
  if (model.text().has_vocabulary_size()) config.text_vocabulary = model.text().vocabulary_size();
  config.embedding_dim =
      model.has_embedding_dim() ? static_cast<int64_t>(model.embedding_dim()) : config.image.width;
  if (config.patch_size < 1) {
    return absl::InvalidArgumentError("model.image.patch_size: must be > 0");
  }
  if (config.max_grid < 1 || config.max_grid > 65535) {
    return absl::InvalidArgumentError("model.image.max_grid: must be in [1, 65535]");
  }
  NAVIT_RETURN_IF_ERROR(CheckPosition(config));
  if (config.has_text() && config.max_text_tokens < 1) {
    return absl::InvalidArgumentError("model.text.max_tokens: must be > 0");
  }
  // Token ids have 16 bits.
  if (config.text_vocabulary < 1 || config.text_vocabulary > 65536) {
    return absl::InvalidArgumentError("model.text.vocabulary_size: must be in [1, 65536]");
  }
  if (config.embedding_dim < 1) {
    return absl::InvalidArgumentError("model.embedding_dim: must be > 0");
  }
  if (preprocess.mean_size() != 3) {
    return absl::InvalidArgumentError("preprocess.mean: must have three numbers");
  }
  if (preprocess.std_size() != 3) {
    return absl::InvalidArgumentError("preprocess.std: must have three numbers");
  }
  for (int channel = 0; channel < 3; ++channel) {
    if (!std::isfinite(preprocess.mean(channel))) {
      return absl::InvalidArgumentError("preprocess.mean: must be finite");
    }
    if (!(preprocess.std(channel) > 0) || !std::isfinite(preprocess.std(channel))) {
      return absl::InvalidArgumentError("preprocess.std: must be > 0");
    }
    config.pixel_mean[channel] = preprocess.mean(channel);
    config.pixel_std[channel] = preprocess.std(channel);
  }
  return config;
}

double UsefulForwardFlops(const ModelConfig& config, absl::Span<const int64_t> image_tokens,
                          absl::Span<const int64_t> text_tokens) {
  const double patch_embedding =
      2.0 * static_cast<double>(config.patch_dim()) * static_cast<double>(config.image.width);
  const double image =
      TowerFlops(config.image, config.image_outputs(), image_tokens, patch_embedding);
  if (!config.has_text()) return image;
  return image + TowerFlops(config.text, config.embedding_dim, text_tokens, 0.0);
}

}  // namespace navit
