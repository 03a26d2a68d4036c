// What the agent asks of the data plane, as an interface: tests put failures in, the real one is
// packer/shards.h, shard_index.h, plan.h and pack_maker.h.
#ifndef NAVIT_PACKER_AGENT_DATA_PLANE_H_
#define NAVIT_PACKER_AGENT_DATA_PLANE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "packer/pack_maker.h"
#include "packer/plan.h"
#include "proto/data.pb.h"
#include "proto/fleet.pb.h"
#include "proto/job_spec.pb.h"

namespace navit {

// Plans and packs of one resolved spec over one manifest. Thread-safe.
class JobPacks {
 public:
  virtual ~JobPacks() = default;
  // As WindowPlanner::Plan and PackMaker::Make.
  virtual absl::StatusOr<WindowPlan> Plan(v1::Split split, uint64_t window) const = 0;
  virtual absl::StatusOr<PackedBytes> Make(const WindowPlan& plan, uint32_t index) const = 0;
};

// Thread-safe.
class DataPlane {
 public:
  virtual ~DataPlane() = default;
  // The files that the spec's patterns name. Errors name the field and the pattern.
  virtual absl::StatusOr<v1::ShardList> Expand(const v1::JobSpec& spec) = 0;
  // As IndexShard of packer/shard_index.h, then IndexCaptions of caption_index.h; `progress` gets
  // the bytes read so far.
  virtual absl::StatusOr<v1::ShardEntry> Index(const v1::IndexShard& work,
                                               const std::function<void(uint64_t)>& progress) = 0;
  virtual absl::StatusOr<std::shared_ptr<const JobPacks>> Open(
      const v1::JobSpec& spec, std::shared_ptr<const v1::DataManifest> manifest) = 0;
};

// The real one; indexes of all jobs share one cache of `index_cache_bytes`.
std::unique_ptr<DataPlane> MakeDataPlane(uint64_t index_cache_bytes);

}  // namespace navit

#endif  // NAVIT_PACKER_AGENT_DATA_PLANE_H_
