#include "worker/weights/timm_import.h"

#include <algorithm>
#include <cstdint>
#include <set>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "worker/weights/timm_config.h"
#include "worker/weights/timm_names.h"

namespace navit {
namespace {

struct Hint {
  // Part of a tensor's name.
  const char* part;
  const char* field;
};

// Which field of the job file decides whether a tower has the tensor; the first that fits.
constexpr Hint kHints[] = {
    {"attn_pool.", "model.image.pooling (map) and model.image.encoder.map_bias"},
    {"fc_norm", "model.image.encoder.norm_after_pooling"},
    {"_norm.weight", "model.image.encoder.qk_norm"},
    {"norm_pre", "model.image.encoder.norm_before_blocks"},
    {".gamma", "model.image.encoder.layer_scale"},
    {"attn.", "model.image.encoder.attention_bias"},
    {"norm1.bias", "model.image.encoder.norm (layer)"},
    {"norm2.bias", "model.image.encoder.norm (layer)"},
    {"norm.bias", "model.image.encoder.norm (layer)"},
    {"norm.weight", "model.image.encoder.norm_after_pooling"},
    {"cls_token", "model.image.prefix_tokens"},
    {"reg_token", "model.image.prefix_tokens"},
    {"pos_embed", "model.image.position_embedding"},
    {"proj.bias", "model.image.patch_bias"},
    {"blocks.", "model.image.size.depth"},
};

std::string HintFor(absl::string_view name) {
  for (const Hint& hint : kHints) {
    if (absl::StrContains(name, hint.part)) {
      return absl::StrCat("; see ", hint.field);
    }
  }
  return "";
}

bool IsClassifier(absl::string_view name) { return absl::StartsWith(name, "head."); }

absl::Status CheckTower(const ModelConfig& config, bool has_class_token) {
  using Image = v1::ImageTowerSpec;
  const auto refuse = [](absl::string_view why) { return absl::InvalidArgumentError(why); };
  const bool factorized = config.position == Image::FACTORIZED_SUM;
  if ((!factorized && config.position != Image::JOINT) || config.coordinates == Image::ABSOLUTE) {
    return refuse(
        "model.image.position_embedding: must be joint or factorized_sum, with fractional or "
        "aspect_fractional position_coordinates: timm's towers resize their table to the grid");
  }
  if (config.image.qk_norm && config.image.layer_norm) {
    return refuse(
        "model.image.encoder.qk_norm: is RMSNorm here, and LayerNorm in timm's towers that have "
        "LayerNorm: must be false");
  }
  if (has_class_token && config.image.prefix_tokens == 0) {
    return refuse("model.image.prefix_tokens: must count the weights' class token, is 0");
  }
  if (config.image.pooling == Image::TOKEN && !has_class_token) {
    return refuse("model.image.pooling: token needs a class token, and the weights have none");
  }
  return absl::OkStatus();
}

// Every tensor of the file has a place.
absl::Status CheckNames(const Safetensors& file, const std::vector<TimmTensor>& tensors) {
  std::set<std::string> known;
  for (const TimmTensor& tensor : tensors) known.insert(tensor.name);
  for (const std::string& name : file.names()) {
    if (known.count(name) > 0 || IsClassifier(name)) continue;
    return absl::InvalidArgumentError(absl::StrCat(file.path(), ": tensor ", name,
                                                   ": the model has no such part", HintFor(name)));
  }
  return absl::OkStatus();
}

void CopyConvolution(absl::Span<const float> from, int64_t width, int64_t pixels, float* to) {
  constexpr int64_t kChannels = 3;
  for (int64_t out = 0; out < width; ++out) {
    for (int64_t channel = 0; channel < kChannels; ++channel) {
      for (int64_t pixel = 0; pixel < pixels; ++pixel) {
        to[(out * pixels + pixel) * kChannels + channel] =
            from[(out * kChannels + channel) * pixels + pixel];
      }
    }
  }
}

absl::Status CopyTensor(const Safetensors& file, const TimmTensor& tensor,
                        const ParameterTable& table, float* parameters) {
  const bool optional = tensor.parameter == nullptr;
  if (optional && !file.Has(tensor.name)) return absl::OkStatus();
  if (!file.Has(tensor.name)) {
    return absl::InvalidArgumentError(absl::StrCat(file.path(), ": has no tensor ", tensor.name,
                                                   ", the model needs it", HintFor(tensor.name)));
  }
  NAVIT_ASSIGN_OR_RETURN(const absl::Span<const float> values,
                         file.Find(tensor.name, tensor.shape));
  if (optional) {
    if (std::all_of(values.begin(), values.end(), [](float v) { return v == 0; })) {
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError(absl::StrCat(file.path(), ": tensor ", tensor.name,
                                                   " is not zero, and the model has no such bias",
                                                   HintFor(tensor.name)));
  }
  float* to = parameters + tensor.parameter->offset + tensor.first;
  switch (tensor.layout) {
    case TimmTensor::Layout::kSame:
      std::copy(values.begin(), values.end(), to);
      break;
    case TimmTensor::Layout::kConvolution:
      CopyConvolution(values, tensor.shape[0], tensor.shape[2] * tensor.shape[3], to);
      break;
    case TimmTensor::Layout::kPositionsAfterPrefix: {
      const size_t prefix = values.size() - tensor.parameter->size;
      std::copy(values.begin() + prefix, values.end(), to);
      if (prefix == 0) break;
      float* tokens = parameters + table.Find("image.prefix").offset;
      for (size_t i = 0; i < prefix; ++i) tokens[i] += values[i];
      break;
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ImportTimm(const Safetensors& file, absl::string_view config_json,
                        const ParameterTable& table, float* parameters) {
  const bool classic = file.Has("patch_embed.proj.weight");
  const bool has_class_token = file.Has("cls_token") || file.Has("embeds.cls_token");
  NAVIT_RETURN_IF_ERROR(CheckTower(table.config(), has_class_token));
  if (!config_json.empty()) NAVIT_RETURN_IF_ERROR(CheckTimmConfig(config_json, table.config()));
  const std::vector<TimmTensor> tensors =
      TimmTensors(table, classic ? TimmFamily::kVisionTransformer : TimmFamily::kNaFlexVit,
                  has_class_token ? 1 : 0);
  NAVIT_RETURN_IF_ERROR(CheckNames(file, tensors));
  for (const TimmTensor& tensor : tensors) {
    NAVIT_RETURN_IF_ERROR(CopyTensor(file, tensor, table, parameters));
  }
  return absl::OkStatus();
}

}  // namespace navit
