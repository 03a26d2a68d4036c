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

absl::Status ExportAs(const std::string& format, const std::string& checkpoint,
                      const std::string& folder) {
  if (format != "navit" && format != "timm") {
    return absl::InvalidArgumentError(
        absl::StrCat("--format: must be navit or timm, is `", format, "`"));
  }
  ObjectStoreOptions options;
  options.environment = ProcessEnvironment();
  const std::shared_ptr<ObjectStore> store = MakeObjectStore(options);
  if (format == "navit") return ExportModel(store.get(), checkpoint, folder);
  NAVIT_ASSIGN_OR_RETURN(const StoredModel model, LoadStoredModel(store.get(), checkpoint));
  return ExportTimm(model.table, model.parameters.data(), folder);
}

int Export(const CommandContext& context) {
  const std::string& folder = context.arguments.words()[1];
  const absl::Status exported =
      ExportAs(context.arguments.Get("format", "navit"), context.arguments.words()[0], folder);
  if (!exported.ok()) return Fail(exported);
  std::cout << folder << "\n";
  return kExitOk;
}

}  // namespace

Command ExportCommand() {
  return {"export",
          "CHECKPOINT DIR [--format navit|timm]",
          "write a checkpoint's weights with configuration and model card, or its image tower as a "
          "timm model",
          2,
          2,
          {"format"},
          Export};
}

}  // namespace navit
