// The jobs that this packer works for: their manifests and planners, least recently used out first.
#ifndef NAVIT_PACKER_AGENT_JOB_TABLE_H_
#define NAVIT_PACKER_AGENT_JOB_TABLE_H_

#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "packer/agent/data_plane.h"

namespace navit {

// Thread-safe. What was handed out stays usable after it left the table.
class JobTable {
 public:
  // Fleet.GetManifest.
  using Fetch = std::function<absl::StatusOr<v1::DataManifest>(const std::string& hash)>;

  // Keeps `max_jobs` >= 1 planners and as many manifests.
  JobTable(DataPlane* data, Fetch fetch, size_t max_jobs);

  // The planner of (spec, manifest); fetches the manifest when it is not here. Errors are those of
  // the fetch and of DataPlane::Open.
  absl::StatusOr<std::shared_ptr<const JobPacks>> Open(const v1::JobSpec& spec,
                                                       const std::string& manifest_hash);

 private:
  template <typename Value>
  struct Slot {
    std::string key;
    std::shared_ptr<const Value> value;
  };
  template <typename Value>
  using Slots = std::list<Slot<Value>>;

  absl::StatusOr<std::shared_ptr<const v1::DataManifest>> Manifest(const std::string& hash)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  DataPlane* const data_;
  const Fetch fetch_;
  const size_t max_jobs_;
  // Held during a fetch: a second request for the same manifest waits for the first.
  absl::Mutex mutex_;
  Slots<v1::DataManifest> manifests_ ABSL_GUARDED_BY(mutex_);
  Slots<JobPacks> jobs_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace navit

#endif  // NAVIT_PACKER_AGENT_JOB_TABLE_H_
