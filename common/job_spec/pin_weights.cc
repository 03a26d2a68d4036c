#include "common/job_spec/pin_weights.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/files.h"
#include "common/status_macros.h"

namespace navit {
namespace {

using Numbers = google::protobuf::RepeatedField<float>;

constexpr uint64_t kMostConfigBytes = uint64_t{16} << 20;

// Three numbers named `name` in `config`, if it has them.
absl::Status TakeThree(const google::protobuf::Struct& config, const std::string& name,
                       Numbers* numbers) {
  const auto found = config.fields().find(name);
  if (found == config.fields().end()) return absl::OkStatus();
  Numbers taken;
  for (const google::protobuf::Value& value : found->second.list_value().values()) {
    taken.Add(static_cast<float>(value.number_value()));
  }
  if (taken.size() != 3) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": is not three numbers"));
  }
  *numbers = taken;
  return absl::OkStatus();
}

// From the config.json in `folder`, whose group `group` holds them, or the file itself where it has
// no such group.
absl::Status PinFrom(ObjectStore* store, const std::string& folder, const char* group,
                     v1::PreprocessSpec* spec) {
  const std::string path = absl::StrCat(folder, "/config.json");
  NAVIT_ASSIGN_OR_RETURN(const std::string text, ReadObject(store, path, kMostConfigBytes));
  google::protobuf::Struct config;
  if (!google::protobuf::util::JsonStringToMessage(text, &config).ok()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": is not a JSON object"));
  }
  const auto found = config.fields().find(group);
  const google::protobuf::Struct& values =
      found == config.fields().end() ? config : found->second.struct_value();
  absl::Status status = TakeThree(values, "mean", spec->mutable_mean());
  if (status.ok()) status = TakeThree(values, "std", spec->mutable_std());
  if (status.ok()) return status;
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", status.message()));
}

absl::Status PinImage(ObjectStore* store, const std::string& image, v1::PreprocessSpec* spec) {
  NAVIT_RETURN_IF_ERROR(store->Stat(image).status());
  const absl::Status pinned = PinFrom(store, FolderOf(image), "pretrained_cfg", spec);
  return absl::IsNotFound(pinned) ? absl::OkStatus() : pinned;
}

}  // namespace

std::vector<FieldViolation> PinWeights(ObjectStore* store, v1::JobSpec* spec) {
  const v1::InitFromSpec& from = spec->init_from();
  const auto violation = [](const char* path, const absl::Status& status) {
    std::vector<FieldViolation> violations;
    if (!status.ok()) violations.push_back({path, std::string(status.message())});
    return violations;
  };
  if (!from.image().empty()) {
    return violation("init_from.image", PinImage(store, from.image(), spec->mutable_preprocess()));
  }
  if (!from.checkpoint().empty()) {
    return violation("init_from.checkpoint",
                     PinFrom(store, std::string(absl::StripSuffix(from.checkpoint(), "/")),
                             "preprocess", spec->mutable_preprocess()));
  }
  return {};
}

}  // namespace navit
