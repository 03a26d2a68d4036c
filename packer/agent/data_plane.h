// What the agent asks of the data plane, as an interface: tests put failures in, the real one is
// packer/shards.h, shard_index.h, plan.h and pack_maker.h.
#ifndef NAVIT_PACKER_AGENT_DATA_PLANE_H_
#define NAVIT_PACKER_AGENT_DATA_PLANE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/object_store/object_store.h"
#include "common/stop_flag.h"
#include "packer/index_cache.h"
#include "packer/pack_maker.h"
#include "packer/plan.h"
#include "packer/range_reader.h"
#include "packer/shard_index.h"
#include "proto/data.pb.h"
#include "proto/fleet.pb.h"
#include "proto/job_spec.pb.h"

namespace navit {

// Plans and packs of one resolved spec over one manifest. Thread-safe.
class JobPacks {
 public:
  virtual ~JobPacks() = default;
  // As WindowPlanner::Plan, PackMaker::Make and PackMaker::ReadAhead.
  virtual absl::StatusOr<WindowPlan> Plan(v1::Split split, uint64_t window) const = 0;
  virtual absl::StatusOr<PackedBytes> Make(const WindowPlan& plan, uint32_t index) const = 0;
  virtual void ReadAhead(const WindowPlan& plan, uint32_t index) const = 0;
};

// Thread-safe.
class DataPlane {
 public:
  virtual ~DataPlane() = default;
  // The shards that the spec's patterns name. Errors name the field and the pattern, or data.index:
  // sidecars cannot be written where it says.
  virtual absl::StatusOr<v1::ShardList> Expand(const v1::JobSpec& spec) = 0;
  // As IndexShard of packer/shard_index.h, then IndexCaptions of caption_index.h if the job has a
  // text tower; `progress` gets the bytes read so far.
  virtual absl::StatusOr<v1::ShardEntry> Index(const v1::IndexShard& work,
                                               const std::function<void(uint64_t)>& progress) = 0;
  // The same of no more than a beginning of the shard, as IndexShardPart.
  virtual absl::StatusOr<ShardPart> IndexPart(const v1::IndexShard& work, uint64_t most_bytes) = 0;
  // As IndexCache::Get.
  virtual absl::StatusOr<std::shared_ptr<const v1::ShardIndex>> ReadIndex(
      const v1::ShardEntry& entry) = 0;
  virtual absl::StatusOr<std::shared_ptr<const JobPacks>> Open(
      const v1::JobSpec& spec, std::shared_ptr<const v1::DataManifest> manifest) = 0;
  // Ends waits for sources; calls that need them fail.
  virtual void Stop() = 0;
};

struct DataPlaneOptions {
  // Of all jobs together.
  uint64_t index_cache_bytes = uint64_t{256} << 20;
  RangeReader::Options read_ahead;
  // `stop` is the data plane's own.
  ObjectStoreOptions store;
};
class RealDataPlane : public DataPlane {
 public:
  explicit RealDataPlane(DataPlaneOptions options);

  absl::StatusOr<v1::ShardList> Expand(const v1::JobSpec& spec) override;
  absl::StatusOr<v1::ShardEntry> Index(const v1::IndexShard& work,
                                       const std::function<void(uint64_t)>& progress) override;
  absl::StatusOr<ShardPart> IndexPart(const v1::IndexShard& work, uint64_t most_bytes) override;
  absl::StatusOr<std::shared_ptr<const v1::ShardIndex>> ReadIndex(
      const v1::ShardEntry& entry) override {
    return indexes_->Get(entry);
  }
  absl::StatusOr<std::shared_ptr<const JobPacks>> Open(
      const v1::JobSpec& spec, std::shared_ptr<const v1::DataManifest> manifest) override;
  void Stop() override { stop_.Stop(); }

 private:
  StopFlag stop_;
  const std::shared_ptr<ObjectStore> store_;
  const std::shared_ptr<IndexCache> indexes_;
  const std::shared_ptr<RangeReader> reader_;
};

}  // namespace navit

#endif  // NAVIT_PACKER_AGENT_DATA_PLANE_H_
