#include "worker/weights/stored_model.h"

#include <google/protobuf/util/json_util.h>

#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/byte_tokenizer.h"
#include "common/job_spec/parse.h"
#include "common/job_spec/resolve.h"
#include "common/object_store/url.h"
#include "common/status_macros.h"
#include "proto/data.pb.h"
#include "worker/parameter_tensors.h"

namespace navit {
namespace {

constexpr uint64_t kMostJsonBytes = uint64_t{16} << 20;
constexpr uint64_t kMostWeightBytes = uint64_t{256} << 30;
constexpr char kWeights[] = "model.safetensors";
constexpr char kAverage[] = "model_ema.safetensors";
constexpr char kManifest[] = "manifest.json";

// Empty of an export, which has none.
absl::StatusOr<v1::CheckpointManifest> ReadManifest(ObjectStore* store, const std::string& folder) {
  const std::string path = absl::StrCat(folder, "/", kManifest);
  const absl::StatusOr<std::string> text = ReadObject(store, path, kMostJsonBytes);
  v1::CheckpointManifest manifest;
  if (absl::IsNotFound(text.status())) return manifest;
  NAVIT_RETURN_IF_ERROR(text.status());
  if (!google::protobuf::util::JsonStringToMessage(*text, &manifest).ok()) {
    return absl::DataLossError(absl::StrCat(path, ": is not a checkpoint manifest"));
  }
  return manifest;
}

const v1::CheckpointManifest::File* FindFile(const v1::CheckpointManifest& manifest,
                                             absl::string_view name) {
  for (const v1::CheckpointManifest::File& file : manifest.files()) {
    if (file.name() == name) return &file;
  }
  return nullptr;
}

// Whether `weights`, of the file `name`, are what the checkpoint's manifest says; an export has
// none.
absl::Status CheckManifest(const v1::CheckpointManifest& manifest, const std::string& folder,
                           const char* name, const std::string& weights) {
  if (manifest.files_size() == 0) return absl::OkStatus();
  const v1::CheckpointManifest::File* file = FindFile(manifest, name);
  if (file == nullptr) {
    return absl::DataLossError(absl::StrCat(folder, "/", kManifest, ": lists no ", name));
  }
  if (file->bytes() == weights.size() && file->hash() == HashHex(weights)) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat(folder, "/", name, ": its bytes do not match the manifest"));
}

}  // namespace

absl::StatusOr<Safetensors> LoadSafetensors(ObjectStore* store, const std::string& path) {
  NAVIT_ASSIGN_OR_RETURN(std::string bytes, ReadObject(store, path, kMostWeightBytes));
  return Safetensors::FromBytes(path, std::move(bytes));
}

absl::StatusOr<StoredModel> LoadStoredModel(ObjectStore* store, const std::string& name,
                                            StoredWeights weights) {
  const std::string folder(absl::StripSuffix(name, "/"));
  const std::string config = absl::StrCat(folder, "/config.json");
  NAVIT_ASSIGN_OR_RETURN(const std::string text, ReadObject(store, config, kMostJsonBytes));
  NAVIT_ASSIGN_OR_RETURN(v1::JobSpec spec, ParseJobFile(text, config));
  ResolveJobSpec(&spec);
  if (spec.model().has_text()) {
    std::string* tokenizer = spec.mutable_model()->mutable_text()->mutable_tokenizer();
    if (*tokenizer != kByteTokenizer && !IsUrl(*tokenizer) && !absl::StartsWith(*tokenizer, "/")) {
      *tokenizer = absl::StrCat(folder, "/", *tokenizer);
    }
  }
  const absl::StatusOr<ModelConfig> model =
      ResolveModelConfig(spec.model(), spec.preprocess(), spec.loss());
  if (!model.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(config, ": ", model.status().message()));
  }
  NAVIT_ASSIGN_OR_RETURN(const v1::CheckpointManifest manifest, ReadManifest(store, folder));
  const bool is_average =
      weights == StoredWeights::kEvaluated && FindFile(manifest, kAverage) != nullptr;
  const char* weights_file = is_average ? kAverage : kWeights;
  const std::string path = absl::StrCat(folder, "/", weights_file);
  NAVIT_ASSIGN_OR_RETURN(std::string bytes, ReadObject(store, path, kMostWeightBytes));
  NAVIT_RETURN_IF_ERROR(CheckManifest(manifest, folder, weights_file, bytes));
  NAVIT_ASSIGN_OR_RETURN(const Safetensors file, Safetensors::FromBytes(path, std::move(bytes)));
  ParameterTable table(*model);
  AlignedBuffer parameters(table.total_size());
  NAVIT_RETURN_IF_ERROR(CopyTensors(table, file, "", &parameters));
  const auto step = file.metadata().find("step");
  StoredModel stored{std::move(spec), std::move(table), std::move(parameters),
                     step == file.metadata().end() ? "unknown" : step->second};
  stored.is_average = is_average || file.metadata().count(kAverageMark) > 0;
  return stored;
}

}  // namespace navit
