#include "worker/weights/timm_export.h"

#include <cstdint>
#include <deque>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/substitute.h"
#include "common/files.h"
#include "common/status_macros.h"
#include "worker/safetensors.h"
#include "worker/weights/timm_names.h"

namespace navit {
namespace {

using Image = v1::ImageTowerSpec;

// What timm's NaFlexVit cannot be told.
absl::Status CheckCounterpart(const ModelConfig& config) {
  const auto refuse = [](absl::string_view why) {
    return absl::FailedPreconditionError(
        absl::StrCat("timm has no counterpart of this image tower: ", why));
  };
  const TowerConfig& image = config.image;
  if (config.position != Image::FACTORIZED_SUM && config.position != Image::JOINT) {
    return refuse("its position_embedding is neither factorized_sum nor joint");
  }
  if (config.coordinates == Image::ABSOLUTE) {
    return refuse(
        "its position_coordinates are absolute, and timm resizes its tables to an image's grid "
        "(fractional or aspect_fractional here)");
  }
  if (image.qk_norm && image.layer_norm) {
    return refuse("its QK-norm is RMSNorm beside LayerNorm, timm's is of the kind of the norms");
  }
  if (image.eps != 1e-6f) return refuse(absl::StrCat("eps is ", image.eps, ", timm's is 1e-6"));
  if (image.norm_pre && config.patch_bias) {
    return refuse("it has norm_before_blocks and patch_bias, of which timm allows one");
  }
  return absl::OkStatus();
}

const char* PoolName(Image::Pooling pooling) {
  switch (pooling) {
    case Image::MEAN:
      return "avg";
    case Image::MAX:
      return "max";
    case Image::TOKEN:
      return "token";
    default:
      return "map";
  }
}

const char* Bool(bool value) { return value ? "true" : "false"; }

std::string ModelArguments(const ModelConfig& config, int64_t class_tokens) {
  const TowerConfig& image = config.image;
  std::vector<std::string> arguments;
  const auto add = [&](const char* name, const auto& value) {
    arguments.push_back(absl::StrCat("    \"", name, "\": ", value));
  };
  const auto text = [](absl::string_view value) { return absl::StrCat("\"", value, "\""); };
  add("patch_size", config.patch_size);
  add("embed_dim", image.width);
  add("depth", image.depth);
  add("num_heads", image.heads);
  // Whole again after timm's int(embed_dim * mlp_ratio), which rounds down.
  add("mlp_ratio", absl::StrFormat("%.17g", (static_cast<double>(image.mlp_dim) + 0.25) /
                                                static_cast<double>(image.width)));
  add("qkv_bias", Bool(image.attention_bias));
  add("qk_norm", Bool(image.qk_norm));
  // timm takes a null for the architecture's own value, which the one below does not have.
  if (image.has_layer_scale()) add("init_values", absl::StrFormat("%.9g", image.layer_scale));
  add("class_token", Bool(class_tokens > 0));
  add("reg_tokens", image.prefix_tokens - class_tokens);
  add("norm_layer", text(image.layer_norm ? "layernorm" : "rmsnorm"));
  add("act_layer", text(image.gelu_erf ? "gelu" : "gelu_tanh"));
  add("pre_norm", Bool(image.norm_pre));
  add("fc_norm", Bool(image.norm_after_pooling));
  add("global_pool", text(PoolName(image.pooling)));
  add("pos_embed", text(config.position == Image::JOINT ? "learned" : "factorized"));
  add("pos_embed_grid_size",
      absl::StrCat("[", config.position_rows, ", ", config.position_rows, "]"));
  add("pos_embed_ar_preserving", Bool(config.coordinates == Image::ASPECT_FRACTIONAL));
  add("pos_embed_interp_mode",
      text(config.interpolation == Image::CUBIC_ANTIALIAS ? "bicubic" : "bilinear"));
  add("pos_embed_antialias", Bool(config.resamples_positions()));
  return absl::StrJoin(arguments, ",\n");
}

std::string ConfigJson(const ModelConfig& config, int64_t class_tokens) {
  return absl::Substitute(
      R"({
  "architecture": "naflexvit_base_patch16_siglip",
  "num_classes": 0,
  "num_features": $0,
  "pretrained_cfg": {
    "tag": "navit",
    "num_classes": 0,
    "input_size": [3, $1, $1],
    "mean": [$2],
    "std": [$3],
    "interpolation": "bicubic",
    "first_conv": "embeds.proj",
    "classifier": "head"
  },
  "model_args": {
$4
  }
}
)",
      config.image.width, config.patch_size * config.position_rows,
      absl::StrJoin(config.pixel_mean, ", "), absl::StrJoin(config.pixel_std, ", "),
      ModelArguments(config, class_tokens));
}

}  // namespace

absl::Status ExportTimm(const ParameterTable& table, const float* parameters,
                        const std::string& folder) {
  const ModelConfig& config = table.config();
  NAVIT_RETURN_IF_ERROR(CheckCounterpart(config));
  const int64_t class_tokens = config.image.pooling == Image::TOKEN ? 1 : 0;
  std::vector<TensorView> views;
  // Views into it must not move.
  std::deque<std::vector<float>> zeros;
  for (const TimmTensor& tensor : TimmTensors(table, TimmFamily::kNaFlexVit, class_tokens)) {
    if (tensor.parameter == nullptr && !tensor.always_there) continue;
    size_t size = 1;
    for (const int64_t side : tensor.shape) size *= static_cast<size_t>(side);
    const float* values = tensor.parameter == nullptr
                              ? zeros.emplace_back(size, 0.0f).data()
                              : parameters + tensor.parameter->offset + tensor.first;
    views.push_back({tensor.name, tensor.shape, absl::MakeConstSpan(values, size)});
  }
  NAVIT_RETURN_IF_ERROR(EnsureFolder(folder));
  NAVIT_RETURN_IF_ERROR(
      WriteSafetensors(folder + "/model.safetensors", views, {{"format", "pt"}}).status());
  return AtomicWriteFile(folder + "/config.json", ConfigJson(config, class_tokens));
}

}  // namespace navit
