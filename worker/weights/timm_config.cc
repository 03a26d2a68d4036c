#include "worker/weights/timm_config.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <cstdint>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace navit {
namespace {

using Image = v1::ImageTowerSpec;
using Fields = google::protobuf::Map<std::string, google::protobuf::Value>;

// What decides without showing in a tensor.
struct Silent {
  // 0: not known.
  int64_t heads = 0;
  std::string gelu;
  std::string interpolation;
  bool aspect = false;
  float eps = 1e-6f;
};

struct Size {
  const char* name;
  int64_t heads;
};
constexpr Size kSizes[] = {{"_tiny_", 3},     {"_small_", 6},  {"_medium_", 8}, {"_betwixt_", 10},
                           {"_base_", 12},    {"_large_", 16}, {"_huge_", 16},  {"_giant_", 16},
                           {"_so150m2_", 13}, {"_so400m_", 16}};

Silent OfArchitecture(const std::string& name) {
  Silent silent;
  for (const Size& size : kSizes) {
    if (absl::StrContains(name, size.name)) silent.heads = size.heads;
  }
  const bool siglip = absl::StrContains(name, "siglip");
  silent.gelu = siglip ? "tanh" : "erf";
  const bool naflex_siglip = siglip && absl::StartsWith(name, "naflexvit_");
  silent.interpolation = naflex_siglip ? "bilinear" : "bicubic";
  silent.aspect = absl::StrContains(name, "_par_") || absl::StrContains(name, "_parfac_");
  if (absl::StrContains(name, "_clip_")) silent.eps = 1e-5f;
  return silent;
}

absl::Status Refuse(const std::string& architecture, absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("config.json: architecture ", architecture, ": ", why));
}

// model_args of timm.create_model, over what the architecture's name says.
absl::Status Apply(const std::string& architecture, const Fields& arguments, Silent* silent) {
  for (const auto& [name, value] : arguments) {
    const std::string& text = value.string_value();
    if (name == "num_heads") silent->heads = static_cast<int64_t>(value.number_value());
    if (name == "pos_embed_interp_mode") silent->interpolation = text;
    if (name == "pos_embed_ar_preserving") silent->aspect = value.bool_value();
    if (name == "act_layer") {
      if (text != "gelu" && text != "gelu_tanh") {
        return Refuse(architecture, absl::StrCat("act_layer ", text, " has no counterpart here"));
      }
      silent->gelu = text == "gelu" ? "erf" : "tanh";
    }
    const bool unset = value.has_null_value() || text.empty() || text == "none";
    if ((name == "rope_type" && !unset) ||
        (absl::StrContains(name, "pool_include_prefix") && value.bool_value()) ||
        (name == "pos_embed_use_grid_sample" && value.bool_value()) ||
        (name == "pos_embed_align_corners" && value.bool_value()) ||
        (name == "attn_pool_num_heads" && !value.has_null_value() &&
         value.number_value() != static_cast<double>(silent->heads))) {
      return Refuse(architecture, absl::StrCat("its ", name, " has no counterpart here"));
    }
  }
  const auto antialias = arguments.find("pos_embed_antialias");
  if (antialias != arguments.end() && !antialias->second.bool_value()) {
    if (silent->interpolation != "bilinear") {
      return Refuse(architecture, "bicubic positions without antialias have no counterpart here");
    }
    silent->interpolation = "linear";
  }
  return absl::OkStatus();
}

absl::Status Mismatch(absl::string_view field, absl::string_view must,
                      const std::string& architecture) {
  return absl::InvalidArgumentError(absl::StrCat("model.image.", field, ": must be ", must,
                                                 ", as the weights' architecture ", architecture,
                                                 " has it"));
}

absl::Status Compare(const std::string& architecture, const Silent& silent,
                     const ModelConfig& model) {
  if (silent.heads != 0 && silent.heads != model.image.heads) {
    return Mismatch("size.heads", absl::StrCat(silent.heads), architecture);
  }
  if ((silent.gelu == "erf") != model.image.gelu_erf) {
    return Mismatch("encoder.gelu", silent.gelu, architecture);
  }
  if (silent.eps != model.image.eps) {
    return Mismatch("encoder.eps", absl::StrCat(silent.eps), architecture);
  }
  const Image::Coordinates coordinates =
      silent.aspect ? Image::ASPECT_FRACTIONAL : Image::FRACTIONAL;
  if (model.coordinates != coordinates) {
    return Mismatch("position_coordinates", silent.aspect ? "aspect_fractional" : "fractional",
                    architecture);
  }
  if (model.position != Image::JOINT) return absl::OkStatus();
  Image::Interpolation interpolation = Image::CUBIC_ANTIALIAS;
  const char* name = "cubic_antialias";
  if (silent.interpolation == "bilinear") {
    interpolation = Image::LINEAR_ANTIALIAS;
    name = "linear_antialias";
  } else if (silent.interpolation == "linear") {
    interpolation = Image::LINEAR;
    name = "linear";
  }
  if (model.interpolation != interpolation) {
    return Mismatch("position_interpolation", name, architecture);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckTimmConfig(absl::string_view json, const ModelConfig& model) {
  google::protobuf::Struct config;
  if (!google::protobuf::util::JsonStringToMessage(std::string(json), &config).ok()) {
    return absl::InvalidArgumentError("config.json: is not a JSON object");
  }
  const auto architecture = config.fields().find("architecture");
  // Another program's configuration says nothing of a timm tower.
  if (architecture == config.fields().end()) return absl::OkStatus();
  const std::string& name = architecture->second.string_value();
  if ((!absl::StartsWith(name, "naflexvit_") && !absl::StartsWith(name, "vit_")) ||
      absl::StrContains(name, "_radio_")) {
    return Refuse(name, "only timm's naflexvit_* and vit_* towers have a counterpart here");
  }
  if (absl::StrContains(name, "quickgelu")) return Refuse(name, "quick GELU is not among ours");
  Silent silent = OfArchitecture(name);
  const auto arguments = config.fields().find("model_args");
  if (arguments != config.fields().end()) {
    const absl::Status applied = Apply(name, arguments->second.struct_value().fields(), &silent);
    if (!applied.ok()) return applied;
  }
  return Compare(name, silent, model);
}

}  // namespace navit
