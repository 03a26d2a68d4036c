#include "worker/model/device/supported.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "common/status_macros.h"
#include "kernels/cuda/head_dims.h"

namespace navit {
namespace {

absl::Status Missing(absl::string_view field, absl::string_view what) {
  return absl::UnimplementedError(absl::StrCat(field, ": ", what, " has no kernel on a GPU yet"));
}

absl::Status CheckMultiple(absl::string_view field, absl::string_view what, int64_t number) {
  if (number % kLinearMultiple == 0) return absl::OkStatus();
  return Missing(field,
                 absl::StrCat(what, " of ", number, ", no multiple of ", kLinearMultiple, ","));
}

absl::Status CheckTower(const TowerConfig& tower, const std::string& path) {
  NAVIT_RETURN_IF_ERROR(CheckMultiple(path + ".size.width", "a width", tower.width));
  if (tower.width > kMaxWidth) {
    return Missing(path + ".size.width",
                   absl::StrCat("a width of ", tower.width, ", above ", kMaxWidth, ","));
  }
  NAVIT_RETURN_IF_ERROR(CheckMultiple(path + ".size.mlp_dim", "an MLP", tower.mlp_dim));
  if (!kernels::cuda::HasHeadDim(tower.head_dim())) {
    return Missing(path + ".size.heads",
                   absl::StrCat("attention with heads of ", tower.head_dim(), " numbers, none of ",
                                absl::StrJoin(kernels::cuda::kHeadDims, " "), ","));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckDeviceModel(const ModelConfig& config) {
  NAVIT_RETURN_IF_ERROR(CheckTower(config.image, "model.image"));
  NAVIT_RETURN_IF_ERROR(CheckMultiple("model.image.patch_size", "a patch", config.patch_dim()));
  if (config.position == v1::ImageTowerSpec::ROPE && !config.image.qk_norm) {
    return Missing("model.image.encoder.qk_norm", "RoPE without it");
  }
  if (!config.has_text()) return CheckMultiple("model.classes", "a classifier", config.classes);
  NAVIT_RETURN_IF_ERROR(CheckTower(config.text, "model.text"));
  return CheckMultiple("model.embedding_dim", "an embedding", config.embedding_dim);
}

}  // namespace navit
