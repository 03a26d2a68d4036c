#include "packer/agent/data_plane.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "packer/caption_index.h"
#include "packer/index_cache.h"
#include "packer/shard_index.h"
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

 private:
  const std::unique_ptr<WindowPlanner> planner_;
  const std::unique_ptr<PackMaker> maker_;
};

class RealDataPlane : public DataPlane {
 public:
  explicit RealDataPlane(uint64_t index_cache_bytes)
      : indexes_(std::make_shared<IndexCache>(index_cache_bytes)) {}

  absl::StatusOr<v1::ShardList> Expand(const v1::JobSpec& spec) override {
    v1::ShardList list;
    NAVIT_RETURN_IF_ERROR(ExpandAll("data.train", spec.data().train(), list.mutable_train()));
    NAVIT_RETURN_IF_ERROR(
        ExpandAll("data.validation", spec.data().validation(), list.mutable_validation()));
    return list;
  }

  absl::StatusOr<v1::ShardEntry> Index(const v1::IndexShard& work,
                                       const std::function<void(uint64_t)>& progress) override {
    // First: a tokenizer that cannot be used is known before a shard is read.
    NAVIT_ASSIGN_OR_RETURN(const CaptionTokenizer captions,
                           CaptionTokenizer::Create(work.captions(), work.text()));
    NAVIT_ASSIGN_OR_RETURN(v1::ShardEntry entry,
                           IndexShard(work.shard(), work.index_folder(), progress));
    NAVIT_RETURN_IF_ERROR(IndexCaptions(entry, captions));
    return entry;
  }

  absl::StatusOr<std::shared_ptr<const JobPacks>> Open(
      const v1::JobSpec& spec, std::shared_ptr<const v1::DataManifest> manifest) override {
    NAVIT_ASSIGN_OR_RETURN(std::unique_ptr<WindowPlanner> planner,
                           WindowPlanner::Create(spec, manifest, indexes_));
    NAVIT_ASSIGN_OR_RETURN(std::unique_ptr<PackMaker> maker,
                           PackMaker::Create(spec, std::move(manifest), indexes_));
    return std::make_shared<const RealJobPacks>(std::move(planner), std::move(maker));
  }

 private:
  static absl::Status ExpandAll(absl::string_view field,
                                const google::protobuf::RepeatedPtrField<v1::Dataset>& datasets,
                                google::protobuf::RepeatedPtrField<std::string>* out) {
    for (int i = 0; i < datasets.size(); ++i) {
      absl::StatusOr<std::vector<std::string>> files = ExpandShardPattern(datasets[i].shards());
      if (!files.ok()) {
        return absl::Status(files.status().code(),
                            absl::StrCat(field, "[", i, "].shards: ", files.status().message()));
      }
      for (std::string& file : *files) *out->Add() = std::move(file);
    }
    return absl::OkStatus();
  }

  const std::shared_ptr<IndexCache> indexes_;
};

}  // namespace

std::unique_ptr<DataPlane> MakeDataPlane(uint64_t index_cache_bytes) {
  return std::make_unique<RealDataPlane>(index_cache_bytes);
}

}  // namespace navit
