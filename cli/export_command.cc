// navitctl export: a checkpoint as a folder to give away. Needs no coordinator.
#include <iostream>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "cli/command.h"
#include "common/object_store/object_store.h"
#include "common/status_macros.h"
#include "worker/weights/export.h"
#include "worker/weights/stored_model.h"
#include "worker/weights/timm_export.h"

namespace navit {
namespace {

absl::StatusOr<StoredWeights> WeightsOf(const std::string& name) {
  if (name == "evaluated") return StoredWeights::kEvaluated;
  if (name == "trained") return StoredWeights::kTrained;
  return absl::InvalidArgumentError(
      absl::StrCat("--weights: must be evaluated or trained, is `", name, "`"));
}

absl::Status ExportAs(const CommandContext& context) {
  const std::string& checkpoint = context.arguments.words()[0];
  const std::string& folder = context.arguments.words()[1];
  const std::string format = context.arguments.Get("format", "navit");
  if (format != "navit" && format != "timm") {
    return absl::InvalidArgumentError(
        absl::StrCat("--format: must be navit or timm, is `", format, "`"));
  }
  NAVIT_ASSIGN_OR_RETURN(const StoredWeights weights,
                         WeightsOf(context.arguments.Get("weights", "evaluated")));
  ObjectStoreOptions options;
  options.environment = ProcessEnvironment();
  const std::shared_ptr<ObjectStore> store = MakeObjectStore(options);
  if (format == "navit") return ExportModel(store.get(), checkpoint, weights, folder);
  NAVIT_ASSIGN_OR_RETURN(const StoredModel model,
                         LoadStoredModel(store.get(), checkpoint, weights));
  return ExportTimm(model.table, model.parameters.data(), folder);
}

int Export(const CommandContext& context) {
  const absl::Status exported = ExportAs(context);
  if (!exported.ok()) return Fail(exported);
  std::cout << context.arguments.words()[1] << "\n";
  return kExitOk;
}

}  // namespace

Command ExportCommand() {
  return {"export",
          "CHECKPOINT DIR [--format navit|timm] [--weights evaluated|trained]",
          "write a checkpoint's weights with configuration and model card, or its image tower as a "
          "timm model; of a job with ema_decay their moving average, unless --weights=trained",
          2,
          2,
          {"format", "weights"},
          Export};
}

}  // namespace navit
