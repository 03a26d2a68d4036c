#include "packer/agent/data_plane.h"

#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/backoff.h"
#include "common/object_store/url.h"
#include "common/status_macros.h"
#include "packer/caption_index.h"
#include "packer/shards.h"

namespace navit {
namespace {

class RealJobPacks : public JobPacks {
 public:
  RealJobPacks(std::unique_ptr<WindowPlanner> planner, std::unique_ptr<PackMaker> maker)
      : planner_(std::move(planner)), maker_(std::move(maker)) {}
  absl::StatusOr<WindowPlan> Plan(v1::Split split, uint64_t window) const override {
    return planner_->Plan(split, window);
  }
  absl::StatusOr<PackedBytes> Make(const WindowPlan& plan, uint32_t index) const override {
    return maker_->Make(plan, index);
  }

  void ReadAhead(const WindowPlan& plan, uint32_t index) const override {
    maker_->ReadAhead(plan, index);
  }

 private:
  const std::unique_ptr<WindowPlanner> planner_;
  const std::unique_ptr<PackMaker> maker_;
};

ObjectStoreOptions WithStop(ObjectStoreOptions options, StopFlag* stop) {
  options.stop = stop;
  return options;
}

absl::Status InField(absl::string_view field, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(field, ": ", status.message()));
}

// Whether sidecars of `shards` can be written, before hours go into indexing. Beside shards that
// are indexed already nothing has to be written.
absl::Status CheckSidecarsCanBeWritten(ObjectStore* store, const std::string& index_folder,
                                       const std::string& shard) {
  if (index_folder.empty() && absl::StartsWithIgnoreCase(shard, "http") && IsUrl(shard)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "data.index: is needed: nothing can be written beside ", shard.substr(0, shard.find('?'))));
  }
  const std::string sidecar = SidecarPath(shard, index_folder);
  if (index_folder.empty() && store->Stat(sidecar).ok()) return absl::OkStatus();
  const std::string probe = absl::StrCat(
      sidecar, ".write-test-", absl::Hex(static_cast<uint64_t>(SystemUniform()() * 0x1p52)));
  absl::Status status = store->Write(probe, "may be removed");
  if (status.ok()) status = store->Remove(probe);
  if (status.ok() || absl::IsUnavailable(status)) return status;
  return absl::FailedPreconditionError(
      absl::StrCat("data.index: sidecar indexes cannot be written: ", status.message()));
}

// Appends the shards of all `datasets` to `out`, and how many each has to `counts` unless it is
// null.
absl::Status ExpandAll(ObjectStore* store, const std::string& index_folder, absl::string_view field,
                       const google::protobuf::RepeatedPtrField<v1::Dataset>& datasets,
                       google::protobuf::RepeatedPtrField<std::string>* out,
                       google::protobuf::RepeatedField<uint64_t>* counts) {
  for (int i = 0; i < datasets.size(); ++i) {
    absl::StatusOr<std::vector<std::string>> shards =
        ExpandShardPattern(store, datasets[i].shards());
    if (!shards.ok()) {
      return InField(absl::StrCat(field, "[", i, "].shards"), shards.status());
    }
    NAVIT_RETURN_IF_ERROR(CheckSidecarsCanBeWritten(store, index_folder, shards->front()));
    if (counts != nullptr) counts->Add(shards->size());
    for (std::string& shard : *shards) *out->Add() = std::move(shard);
  }
  return absl::OkStatus();
}

// How the captions of a shard are to be indexed; nullopt: the job has no text tower.
absl::StatusOr<std::optional<CaptionTokenizer>> OpenCaptions(ObjectStore* store,
                                                             const v1::IndexShard& work) {
  if (!work.has_text()) return std::nullopt;
  return CaptionTokenizer::Create(store, work.captions(), work.text());
}

}  // namespace

RealDataPlane::RealDataPlane(DataPlaneOptions options)
    : store_(MakeObjectStore(WithStop(options.store, &stop_))),
      indexes_(std::make_shared<IndexCache>(store_, options.index_cache_bytes)),
      reader_(std::make_shared<RangeReader>(store_, options.read_ahead)) {}

absl::StatusOr<v1::ShardList> RealDataPlane::Expand(const v1::JobSpec& spec) {
  v1::ShardList list;
  const v1::DataSpec& data = spec.data();
  NAVIT_RETURN_IF_ERROR(ExpandAll(store_.get(), data.index(), "data.train", data.train(),
                                  list.mutable_train(), list.mutable_train_datasets()));
  NAVIT_RETURN_IF_ERROR(ExpandAll(store_.get(), data.index(), "data.validation", data.validation(),
                                  list.mutable_validation(), nullptr));
  return list;
}

absl::StatusOr<v1::ShardEntry> RealDataPlane::Index(const v1::IndexShard& work,
                                                    const std::function<void(uint64_t)>& progress) {
  // First: a tokenizer that cannot be used is known before a shard is read.
  NAVIT_ASSIGN_OR_RETURN(const std::optional<CaptionTokenizer> captions,
                         OpenCaptions(store_.get(), work));
  NAVIT_ASSIGN_OR_RETURN(v1::ShardEntry entry,
                         IndexShard(store_.get(), work.shard(), work.index_folder(), progress));
  if (captions.has_value()) {
    NAVIT_RETURN_IF_ERROR(IndexCaptions(store_.get(), entry, *captions));
  }
  return entry;
}

absl::StatusOr<ShardPart> RealDataPlane::IndexPart(const v1::IndexShard& work,
                                                   uint64_t most_bytes) {
  NAVIT_ASSIGN_OR_RETURN(const std::optional<CaptionTokenizer> captions,
                         OpenCaptions(store_.get(), work));
  NAVIT_ASSIGN_OR_RETURN(
      ShardPart part, IndexShardPart(store_.get(), work.shard(), work.index_folder(), most_bytes));
  if (captions.has_value()) {
    NAVIT_RETURN_IF_ERROR(IndexCaptions(store_.get(), part.entry, *captions));
  }
  return part;
}

absl::StatusOr<std::shared_ptr<const JobPacks>> RealDataPlane::Open(
    const v1::JobSpec& spec, std::shared_ptr<const v1::DataManifest> manifest) {
  NAVIT_ASSIGN_OR_RETURN(std::unique_ptr<WindowPlanner> planner,
                         WindowPlanner::Create(spec, manifest, indexes_));
  NAVIT_ASSIGN_OR_RETURN(std::unique_ptr<PackMaker> maker,
                         PackMaker::Create(spec, std::move(manifest), indexes_, reader_));
  return std::make_shared<const RealJobPacks>(std::move(planner), std::move(maker));
}

}  // namespace navit
