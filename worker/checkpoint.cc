#include "worker/checkpoint.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/files.h"
#include "common/job_spec/identity.h"
#include "common/job_spec/parse.h"
#include "common/job_spec/print.h"
#include "common/status_macros.h"
#include "worker/parameter_tensors.h"
#include "worker/safetensors.h"

namespace navit {
namespace {

constexpr uint32_t kFormatVersion = 1;
constexpr char kModelFile[] = "model.safetensors";
constexpr char kAverageFile[] = "model_ema.safetensors";
constexpr char kOptimizerFile[] = "optimizer.safetensors";
constexpr char kConfigFile[] = "config.json";
constexpr char kScoresFile[] = "scores.json";
constexpr char kManifestFile[] = "manifest.json";
constexpr char kFirstMoment[] = "first_moment.";
constexpr char kSecondMoment[] = "second_moment.";
constexpr char kUpdates[] = "updates";

std::string IdentityHex(const v1::JobSpec& spec) {
  return HashHex(absl::StrCat(absl::Hex(IdentityHash(spec), absl::kZeroPad16)));
}

// The generation of a folder named like a checkpoint.
std::optional<uint64_t> GenerationOfName(absl::string_view name) {
  uint64_t step = 0, generation = 0;
  const std::vector<absl::string_view> parts = absl::StrSplit(name, '-');
  if (parts.size() != 3 || parts[0] != "step" || !absl::ConsumePrefix(&name, "step-") ||
      !absl::SimpleAtoi(parts[1], &step) || parts[2].substr(0, 1) != "g" ||
      !absl::SimpleAtoi(parts[2].substr(1), &generation)) {
    return std::nullopt;
  }
  return generation;
}

absl::StatusOr<WrittenCheckpoint> WriteFiles(const std::string& folder, const CheckpointInfo& info,
                                             const ParameterTable& table, const ModelState& state) {
  const v1::JobSpec& spec = info.job.spec();
  NAVIT_RETURN_IF_ERROR(RemoveAll(folder));
  NAVIT_RETURN_IF_ERROR(EnsureFolder(folder));

  v1::CheckpointManifest manifest;
  manifest.set_format_version(kFormatVersion);
  manifest.set_job(info.job.job());
  manifest.set_job_uid(info.job.job_uid());
  manifest.set_step(info.step);
  manifest.set_generation(info.generation);
  manifest.set_world_size(info.world_size);
  manifest.set_identity_hash(IdentityHex(spec));
  manifest.set_data_hash(info.job.manifest_hash());
  manifest.set_plan_version(spec.packing().plan_version());
  manifest.set_next_ordinal(info.step * spec.packing().sequences_per_step());
  const std::string spec_json = ToJson(spec);
  manifest.set_job_spec_json(spec_json);
  WrittenCheckpoint written{folder, 0};
  const auto add = [&](const char* name, const WrittenFile& file) {
    v1::CheckpointManifest::File* entry = manifest.add_files();
    entry->set_name(name);
    entry->set_bytes(file.bytes);
    entry->set_hash(file.hash);
    written.bytes += file.bytes;
  };

  std::vector<TensorView> tensors;
  const auto add_model = [&](const char* name, const AlignedBuffer& weights) -> absl::Status {
    tensors.clear();
    AddTensors(table, weights, "", &tensors);
    NAVIT_ASSIGN_OR_RETURN(
        const WrittenFile file,
        WriteSafetensors(absl::StrCat(folder, "/", name), tensors,
                         {{"format", "navit"}, {"step", absl::StrCat(info.step)}}));
    add(name, file);
    return absl::OkStatus();
  };
  NAVIT_RETURN_IF_ERROR(add_model(kModelFile, state.parameters));
  if (state.has_average()) NAVIT_RETURN_IF_ERROR(add_model(kAverageFile, state.average));

  tensors.clear();
  AddTensors(table, state.first_moment, kFirstMoment, &tensors);
  AddTensors(table, state.second_moment, kSecondMoment, &tensors);
  NAVIT_ASSIGN_OR_RETURN(
      const WrittenFile optimizer,
      WriteSafetensors(absl::StrCat(folder, "/", kOptimizerFile), tensors,
                       {{"format", "navit"}, {kUpdates, absl::StrCat(state.updates)}}));
  add(kOptimizerFile, optimizer);

  const auto add_text = [&](const char* name, const std::string& text) -> absl::Status {
    add(name, WrittenFile{text.size(), HashHex(text)});
    return AtomicWriteFile(absl::StrCat(folder, "/", name), text);
  };
  NAVIT_RETURN_IF_ERROR(add_text(kConfigFile, spec_json));
  if (info.scores.has_scores()) {
    NAVIT_RETURN_IF_ERROR(add_text(kScoresFile, ToJson(info.scores)));
  }

  const std::string text = ToJson(manifest);
  NAVIT_RETURN_IF_ERROR(AtomicWriteFile(absl::StrCat(folder, "/", kManifestFile), text));
  written.bytes += text.size();
  return written;
}

// The spec that the checkpoint's job had.
absl::StatusOr<v1::JobSpec> StoredSpec(const std::string& folder,
                                       const v1::CheckpointManifest& manifest) {
  absl::StatusOr<v1::JobSpec> stored = ParseJobFile(
      manifest.job_spec_json(), absl::StrCat(folder, "/", kManifestFile, ": job_spec_json"));
  if (!stored.ok()) return absl::DataLossError(stored.status().message());
  return stored;
}

// What of `different` changes what the weights mean.
std::vector<std::string> OfTheModel(std::vector<std::string> different, bool has_classifier) {
  different.erase(std::remove_if(different.begin(), different.end(),
                                 [&](const std::string& path) {
                                   if (path == "model.classes") return !has_classifier;
                                   return !absl::StartsWith(path, "model.") &&
                                          path != "loss.kind" &&
                                          !absl::StartsWith(path, "preprocess.mean") &&
                                          !absl::StartsWith(path, "preprocess.std");
                                 }),
                  different.end());
  return different;
}

// Whether the checkpoint may go on as `job`.
absl::Status CheckIdentity(const std::string& folder, const v1::CheckpointManifest& manifest,
                           const v1::JobData& job) {
  if (manifest.job() != job.job()) {
    return absl::FailedPreconditionError(
        absl::StrCat(folder, ": is a checkpoint of job ", manifest.job(), ", not of ", job.job()));
  }
  if (manifest.identity_hash() != IdentityHex(job.spec())) {
    NAVIT_ASSIGN_OR_RETURN(const v1::JobSpec stored, StoredSpec(folder, manifest));
    const std::vector<std::string> fields = IdentityDifference(stored, job.spec());
    return absl::FailedPreconditionError(
        absl::StrCat(folder, ": was made with another ",
                     fields.empty() ? "job spec" : absl::StrJoin(fields, ", ")));
  }
  if (manifest.data_hash() != job.manifest_hash()) {
    return absl::FailedPreconditionError(
        absl::StrCat(folder, ": was made with other data: frozen list ", manifest.data_hash(),
                     ", the job's is ", job.manifest_hash()));
  }
  return absl::OkStatus();
}

std::optional<WrittenFile> FindFile(const v1::CheckpointManifest& manifest, const char* name) {
  for (const v1::CheckpointManifest::File& file : manifest.files()) {
    if (file.name() == name) return WrittenFile{file.bytes(), file.hash()};
  }
  return std::nullopt;
}

absl::StatusOr<WrittenFile> FileEntry(const std::string& folder,
                                      const v1::CheckpointManifest& manifest, const char* name) {
  if (const std::optional<WrittenFile> file = FindFile(manifest, name)) return *file;
  return absl::DataLossError(absl::StrCat(folder, "/", kManifestFile, ": lists no ", name));
}

absl::Status ReadModel(const std::string& path, const WrittenFile& written,
                       const ParameterTable& table, AlignedBuffer* weights) {
  NAVIT_ASSIGN_OR_RETURN(const Safetensors file, Safetensors::Read(path, written));
  return CopyTensors(table, file, "", weights);
}

}  // namespace

std::string CheckpointRoot(const v1::JobSpec& spec) {
  return absl::StrCat(absl::StripSuffix(spec.checkpoints().directory(), "/"), "/", spec.name());
}

std::string CheckpointFolder(const v1::JobSpec& spec, uint64_t step, uint64_t generation) {
  return absl::StrFormat("%s/step-%08d-g%d", CheckpointRoot(spec), step, generation);
}

absl::StatusOr<WrittenCheckpoint> WriteCheckpoint(const CheckpointInfo& info,
                                                  const ParameterTable& table,
                                                  const ModelState& state) {
  const std::string folder = CheckpointFolder(info.job.spec(), info.step, info.generation);
  absl::StatusOr<WrittenCheckpoint> written = WriteFiles(folder, info, table, state);
  // The manifest goes first, so that what a failing disk leaves is never taken for a checkpoint.
  if (!written.ok()) {
    RemoveAll(absl::StrCat(folder, "/", kManifestFile)).IgnoreError();
    RemoveAll(folder).IgnoreError();
  }
  return written;
}

absl::StatusOr<v1::CheckpointManifest> ReadCheckpointManifest(const std::string& folder) {
  const std::string path = absl::StrCat(folder, "/", kManifestFile);
  absl::StatusOr<std::string> text = ReadFile(path);
  if (absl::IsNotFound(text.status())) {
    return absl::DataLossError(absl::StrCat(path, ": is missing"));
  }
  NAVIT_RETURN_IF_ERROR(text.status());
  v1::CheckpointManifest manifest;
  if (!google::protobuf::util::JsonStringToMessage(*text, &manifest).ok()) {
    return absl::DataLossError(absl::StrCat(path, ": is not a checkpoint manifest"));
  }
  if (manifest.format_version() != kFormatVersion) {
    return absl::FailedPreconditionError(absl::StrCat(path, ": format_version ",
                                                      manifest.format_version(),
                                                      ", this version reads ", kFormatVersion));
  }
  return manifest;
}

absl::StatusOr<v1::CheckpointManifest> LoadCheckpoint(const std::string& folder,
                                                      const v1::JobData& job,
                                                      const ParameterTable& table,
                                                      ModelState* state) {
  NAVIT_ASSIGN_OR_RETURN(const v1::CheckpointManifest manifest, ReadCheckpointManifest(folder));
  NAVIT_RETURN_IF_ERROR(CheckIdentity(folder, manifest, job));
  NAVIT_ASSIGN_OR_RETURN(const WrittenFile model, FileEntry(folder, manifest, kModelFile));
  NAVIT_ASSIGN_OR_RETURN(const WrittenFile optimizer, FileEntry(folder, manifest, kOptimizerFile));
  NAVIT_RETURN_IF_ERROR(
      ReadModel(absl::StrCat(folder, "/", kModelFile), model, table, &state->parameters));
  const std::optional<WrittenFile> average = FindFile(manifest, kAverageFile);
  if (state->has_average() && average.has_value()) {
    NAVIT_RETURN_IF_ERROR(
        ReadModel(absl::StrCat(folder, "/", kAverageFile), *average, table, &state->average));
  } else {
    StartAverage(state);
  }
  NAVIT_ASSIGN_OR_RETURN(const Safetensors file,
                         Safetensors::Read(absl::StrCat(folder, "/", kOptimizerFile), optimizer));
  NAVIT_RETURN_IF_ERROR(CopyTensors(table, file, kFirstMoment, &state->first_moment));
  NAVIT_RETURN_IF_ERROR(CopyTensors(table, file, kSecondMoment, &state->second_moment));
  const auto updates = file.metadata().find(kUpdates);
  if (updates == file.metadata().end() || !absl::SimpleAtoi(updates->second, &state->updates)) {
    return absl::DataLossError(
        absl::StrCat(folder, "/", kOptimizerFile, ": has no counter ", kUpdates));
  }
  return manifest;
}

absl::StatusOr<v1::CheckpointManifest> LoadForEvaluation(const std::string& folder,
                                                         const v1::JobSpec& spec,
                                                         const ParameterTable& table,
                                                         ModelState* state) {
  NAVIT_ASSIGN_OR_RETURN(const v1::CheckpointManifest manifest, ReadCheckpointManifest(folder));
  NAVIT_ASSIGN_OR_RETURN(const v1::JobSpec stored, StoredSpec(folder, manifest));
  const std::vector<std::string> fields =
      OfTheModel(IdentityDifference(stored, spec), table.config().classes > 0);
  if (!fields.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(folder, ": was made with another ", absl::StrJoin(fields, ", ")));
  }
  const char* name = FindFile(manifest, kAverageFile).has_value() ? kAverageFile : kModelFile;
  NAVIT_ASSIGN_OR_RETURN(const WrittenFile file, FileEntry(folder, manifest, name));
  NAVIT_RETURN_IF_ERROR(
      ReadModel(absl::StrCat(folder, "/", name), file, table, &state->parameters));
  return manifest;
}

absl::Status RemoveCheckpoints(const v1::JobSpec& spec, const std::vector<std::string>& folders) {
  const std::string root = CheckpointRoot(spec);
  for (const std::string& folder : folders) {
    absl::string_view name = folder;
    if (!absl::ConsumePrefix(&name, absl::StrCat(root, "/")) || !GenerationOfName(name)) {
      return absl::InvalidArgumentError(
          absl::StrCat(folder, ": is no checkpoint of ", root, ", not removed"));
    }
    // A folder that is half removed must not look like a checkpoint.
    NAVIT_RETURN_IF_ERROR(RemoveAll(absl::StrCat(folder, "/", kManifestFile)));
    NAVIT_RETURN_IF_ERROR(RemoveAll(folder));
  }
  return folders.empty() || !FileExists(root) ? absl::OkStatus() : SyncFolder(root);
}

absl::StatusOr<std::vector<std::string>> RemoveLeftovers(const v1::JobData& job,
                                                         uint64_t generation,
                                                         const std::vector<std::string>& recorded) {
  const std::string root = CheckpointRoot(job.spec());
  std::vector<std::string> leftovers;
  absl::StatusOr<std::vector<std::string>> names = ListFolder(root);
  if (absl::IsNotFound(names.status())) return leftovers;
  NAVIT_RETURN_IF_ERROR(names.status());
  for (const std::string& name : *names) {
    const std::optional<uint64_t> written_in = GenerationOfName(name);
    const std::string folder = absl::StrCat(root, "/", name);
    if (!written_in || *written_in >= generation ||
        std::find(recorded.begin(), recorded.end(), folder) != recorded.end()) {
      continue;
    }
    if (FileExists(absl::StrCat(folder, "/", kManifestFile))) {
      absl::StatusOr<v1::CheckpointManifest> manifest = ReadCheckpointManifest(folder);
      if (!manifest.ok() || manifest->job() != job.job() || manifest->job_uid() != job.job_uid()) {
        continue;
      }
    }
    leftovers.push_back(folder);
  }
  NAVIT_RETURN_IF_ERROR(RemoveCheckpoints(job.spec(), leftovers));
  return leftovers;
}

}  // namespace navit
