#include "worker/weights/init_from.h"

#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/files.h"
#include "common/status_macros.h"
#include "worker/weights/stored_model.h"
#include "worker/weights/timm_import.h"

namespace navit {
namespace {

constexpr uint64_t kMostConfigBytes = uint64_t{16} << 20;

absl::Status FromTimm(ObjectStore* store, const std::string& path, const ParameterTable& table,
                      ModelState* state) {
  NAVIT_ASSIGN_OR_RETURN(const Safetensors file, LoadSafetensors(store, path));
  absl::StatusOr<std::string> config =
      ReadObject(store, absl::StrCat(FolderOf(path), "/config.json"), kMostConfigBytes);
  if (absl::IsNotFound(config.status())) config = "";
  NAVIT_RETURN_IF_ERROR(config.status());
  return ImportTimm(file, *config, table, state->parameters.data());
}

absl::Status FromCheckpoint(ObjectStore* store, const std::string& folder,
                            const ParameterTable& table, ModelState* state) {
  NAVIT_ASSIGN_OR_RETURN(const StoredModel model,
                         LoadStoredModel(store, folder, StoredWeights::kTrained));
  for (const ParameterInfo& info : model.table.entries()) {
    const ParameterInfo* ours = table.FindOrNull(info.name);
    if (ours == nullptr || ours->shape != info.shape) {
      return absl::InvalidArgumentError(absl::StrCat(
          folder, ": tensor ", info.name,
          ours == nullptr ? ": this job's model has none" : ": this job's has another shape"));
    }
  }
  for (const ParameterInfo& info : table.entries()) {
    const ParameterInfo* theirs = model.table.FindOrNull(info.name);
    if (theirs == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat(folder, ": has no tensor ", info.name, ", this job's model needs it"));
    }
    std::copy_n(model.parameters.data() + theirs->offset, info.size,
                state->parameters.data() + info.offset);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status InitializeFrom(ObjectStore* store, const v1::InitFromSpec& init_from,
                            const ParameterTable& table, ModelState* state) {
  if (!init_from.image().empty()) {
    NAVIT_RETURN_IF_ERROR(FromTimm(store, init_from.image(), table, state));
  }
  if (!init_from.checkpoint().empty()) {
    NAVIT_RETURN_IF_ERROR(FromCheckpoint(store, init_from.checkpoint(), table, state));
  }
  StartAverage(state);
  return absl::OkStatus();
}

}  // namespace navit
