// Shard indexes in memory, of samples and of captions, least recently used out first. A job's
// indexes need not fit.
#ifndef NAVIT_PACKER_INDEX_CACHE_H_
#define NAVIT_PACKER_INDEX_CACHE_H_

#include <google/protobuf/message.h>

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/object_store/object_store.h"
#include "packer/caption_index.h"
#include "proto/data.pb.h"

namespace navit {

// Thread-safe. One per process; shared by the planners and makers of all jobs.
class IndexCache {
 public:
  // Keeps at most `max_bytes` of indexes (by their size in memory), but always the newest one.
  explicit IndexCache(std::shared_ptr<ObjectStore> store, uint64_t max_bytes = uint64_t{256} << 20)
      : store_(std::move(store)), max_bytes_(max_bytes) {}

  // Where indexes and shards are read from.
  ObjectStore* store() const { return store_.get(); }

  // The index of a manifest's shard. Loads `entry.index_path`; a sidecar that is missing or damaged
  // is replaced by a fresh pass over the shard (in memory only). FailedPrecondition names the
  // shard: its index or its bytes are no longer those of the manifest ("changed under the job").
  // NotFound / Unavailable: neither sidecar nor shard can be read.
  absl::StatusOr<std::shared_ptr<const v1::ShardIndex>> Get(const v1::ShardEntry& entry);

  // The token lengths of its captions, in the same way.
  absl::StatusOr<std::shared_ptr<const v1::CaptionIndex>> GetCaptions(
      const v1::ShardEntry& entry, const CaptionTokenizer& tokenizer);

 private:
  using Message = std::shared_ptr<const google::protobuf::Message>;
  struct Slot {
    std::string key;
    uint64_t bytes;
    Message message;
  };

  const std::shared_ptr<ObjectStore> store_;
  absl::StatusOr<Message> GetOrLoad(const std::string& key,
                                    const std::function<absl::StatusOr<Message>()>& load);

  const uint64_t max_bytes_;
  absl::Mutex mutex_;
  // Most recently used first.
  std::list<Slot> slots_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, std::list<Slot>::iterator> by_key_ ABSL_GUARDED_BY(mutex_);
  uint64_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace navit

#endif  // NAVIT_PACKER_INDEX_CACHE_H_
