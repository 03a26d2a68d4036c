#include "worker/weights/export.h"

#include <google/protobuf/util/json_util.h>

#include <cstdint>
#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "absl/strings/substitute.h"
#include "common/byte_tokenizer.h"
#include "common/files.h"
#include "common/job_spec/print.h"
#include "common/status_macros.h"
#include "common/tokenizer_file.h"
#include "worker/parameter_tensors.h"
#include "worker/weights/model_card.h"

namespace navit {
namespace {

constexpr char kTokenizerFile[] = "tokenizer.model";
constexpr char kScoresFile[] = "scores.json";
constexpr uint64_t kMostScoresBytes = uint64_t{16} << 20;

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

// Of the last evaluation before the checkpoint; empty if there was none.
absl::StatusOr<v1::StepScores> ReadScores(ObjectStore* store, const std::string& checkpoint) {
  const std::string path = absl::StrCat(absl::StripSuffix(checkpoint, "/"), "/", kScoresFile);
  const absl::StatusOr<std::string> text = ReadObject(store, path, kMostScoresBytes);
  v1::StepScores scores;
  if (absl::IsNotFound(text.status())) return scores;
  NAVIT_RETURN_IF_ERROR(text.status());
  if (!google::protobuf::util::JsonStringToMessage(*text, &scores).ok()) {
    return absl::DataLossError(absl::StrCat(path, ": is not the scores of an evaluation"));
  }
  return scores;
}

}  // namespace

absl::Status ExportModel(ObjectStore* store, const std::string& checkpoint, StoredWeights weights,
                         const std::string& folder) {
  NAVIT_ASSIGN_OR_RETURN(const StoredModel model, LoadStoredModel(store, checkpoint, weights));
  const auto path = [&](const char* name) { return absl::StrCat(folder, "/", name); };
  NAVIT_RETURN_IF_ERROR(EnsureFolder(folder));
  v1::JobSpec config = ModelPart(model.spec);
  const std::string& tokenizer = model.spec.model().text().tokenizer();
  if (model.spec.model().has_text() && tokenizer != kByteTokenizer) {
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
  std::map<std::string, std::string> metadata = {{"format", "navit"}, {"step", model.step}};
  if (model.is_average) metadata[kAverageMark] = "true";
  NAVIT_RETURN_IF_ERROR(WriteSafetensors(path("model.safetensors"), tensors, metadata).status());
  NAVIT_RETURN_IF_ERROR(AtomicWriteFile(path("config.json"), ToJson(config)));
  NAVIT_RETURN_IF_ERROR(
      AtomicWriteFile(path("preprocess.json"), PreprocessJson(model.spec, model.table.config())));
  NAVIT_ASSIGN_OR_RETURN(const v1::StepScores scores, ReadScores(store, checkpoint));
  if (scores.has_scores()) {
    NAVIT_RETURN_IF_ERROR(AtomicWriteFile(path(kScoresFile), ToJson(scores)));
  }
  return AtomicWriteFile(path("README.md"), ModelCard(model, scores));
}

}  // namespace navit
