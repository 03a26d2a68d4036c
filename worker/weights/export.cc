#include "worker/weights/export.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/substitute.h"
#include "common/byte_tokenizer.h"
#include "common/files.h"
#include "common/job_spec/print.h"
#include "common/status_macros.h"
#include "common/tokenizer_file.h"
#include "worker/parameter_tensors.h"
#include "worker/weights/model_card.h"
#include "worker/weights/stored_model.h"

namespace navit {
namespace {

constexpr char kTokenizerFile[] = "tokenizer.model";

// The parts of a job that say what the model is, and at how many patches an image is to be seen.
v1::JobSpec ModelPart(const v1::JobSpec& spec) {
  v1::JobSpec part;
  part.set_api_version(spec.api_version());
  part.set_name(spec.name());
  *part.mutable_preprocess() = spec.preprocess();
  *part.mutable_model() = spec.model();
  *part.mutable_loss() = spec.loss();
  *part.mutable_evaluation() = spec.evaluation();
  return part;
}

std::string PreprocessJson(const v1::JobSpec& spec, const ModelConfig& config) {
  return absl::Substitute(
      R"({
  "patch_size": $0,
  "patch_order": ["row", "column", "channel"],
  "max_grid": $1,
  "rescale_factor": $2,
  "mean": [$3],
  "std": [$4],
  "background": [$5],
  "keeps_aspect_ratio": true
}
)",
      config.patch_size, config.max_grid, 1.0 / 255, absl::StrJoin(config.pixel_mean, ", "),
      absl::StrJoin(config.pixel_std, ", "), absl::StrJoin(spec.preprocess().background(), ", "));
}

}  // namespace

absl::Status ExportModel(ObjectStore* store, const std::string& checkpoint,
                         const std::string& folder) {
  NAVIT_ASSIGN_OR_RETURN(const StoredModel model, LoadStoredModel(store, checkpoint));
  if (!model.spec.model().has_text()) {
    return absl::UnimplementedError(
        "export: the model is a classifier, whose card and configuration this version does not "
        "write; its checkpoint's model.safetensors is plain");
  }
  const auto path = [&](const char* name) { return absl::StrCat(folder, "/", name); };
  NAVIT_RETURN_IF_ERROR(EnsureFolder(folder));
  v1::JobSpec config = ModelPart(model.spec);
  const std::string& tokenizer = model.spec.model().text().tokenizer();
  if (tokenizer != kByteTokenizer) {
    NAVIT_ASSIGN_OR_RETURN(const TokenizerFile file, ReadTokenizerFile(store, tokenizer));
    if (file.hash != model.spec.model().text().tokenizer_hash()) {
      return absl::FailedPreconditionError(
          absl::StrCat(tokenizer, ": is no longer the tokenizer that the model was trained with"));
    }
    NAVIT_RETURN_IF_ERROR(AtomicWriteFile(path(kTokenizerFile), file.bytes));
    config.mutable_model()->mutable_text()->set_tokenizer(kTokenizerFile);
  }
  std::vector<TensorView> tensors;
  AddTensors(model.table, model.parameters, "", &tensors);
  NAVIT_RETURN_IF_ERROR(WriteSafetensors(path("model.safetensors"), tensors,
                                         {{"format", "navit"}, {"step", model.step}})
                            .status());
  NAVIT_RETURN_IF_ERROR(AtomicWriteFile(path("config.json"), ToJson(config)));
  NAVIT_RETURN_IF_ERROR(
      AtomicWriteFile(path("preprocess.json"), PreprocessJson(model.spec, model.table.config())));
  return AtomicWriteFile(path("README.md"), ModelCard(model));
}

}  // namespace navit
