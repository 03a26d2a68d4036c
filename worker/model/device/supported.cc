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

absl::Status CheckTower(const TowerConfig& tower, const std::string& path) {
  if (tower.width > kMaxWidth) {
    return Missing(path + ".size.width",
                   absl::StrCat("a width of ", tower.width, ", above ", kMaxWidth, ","));
  }
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
  return config.has_text() ? CheckTower(config.text, "model.text") : absl::OkStatus();
}

}  // namespace navit
