#include "packer/index_cache.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "packer/shard_index.h"

namespace navit {
namespace {

bool Fits(const v1::ShardIndex& index, const v1::ShardEntry& entry) {
  return index.shard_bytes() == entry.bytes() && index.shard_hash() == entry.hash() &&
         static_cast<uint64_t>(index.keys_size()) == entry.samples();
}

absl::StatusOr<v1::ShardIndex> Load(ObjectStore* store, const v1::ShardEntry& entry) {
  absl::StatusOr<v1::ShardIndex> index = ReadShardIndex(store, entry.index_path());
  if (index.ok() && Fits(*index, entry)) return index;
  if (!index.ok() && !absl::IsNotFound(index.status()) &&
      !absl::IsInvalidArgument(index.status())) {
    return index.status();
  }
  // Lost, damaged, or of another job's time: what counts is whether the shard itself is the same.
  index = BuildShardIndex(store, entry.path());
  if (absl::IsInvalidArgument(index.status())) {
    return absl::FailedPreconditionError(
        absl::StrCat("shard changed under the job: ", index.status().message()));
  }
  NAVIT_RETURN_IF_ERROR(index.status());
  if (!Fits(*index, entry)) {
    return absl::FailedPreconditionError(
        absl::StrCat(entry.path(), ": shard changed under the job: it has ", index->shard_bytes(),
                     " bytes and ", index->keys_size(), " samples, was frozen with ", entry.bytes(),
                     " and ", entry.samples(), ", or its checksum differs"));
  }
  return index;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const v1::ShardIndex>> IndexCache::Get(const v1::ShardEntry& entry) {
  const std::string key = absl::StrCat(entry.index_path(), "\n", entry.path(), "\n", entry.hash(),
                                       "\n", entry.bytes(), "\n", entry.samples());
  {
    absl::MutexLock lock(&mutex_);
    const auto found = by_key_.find(key);
    if (found != by_key_.end()) {
      slots_.splice(slots_.begin(), slots_, found->second);
      return found->second->index;
    }
  }
  // Two threads may load the same index at once; that costs time, never correctness.
  NAVIT_ASSIGN_OR_RETURN(v1::ShardIndex loaded, Load(store_.get(), entry));
  auto index = std::make_shared<const v1::ShardIndex>(std::move(loaded));
  const uint64_t bytes = index->SpaceUsedLong();
  absl::MutexLock lock(&mutex_);
  const auto found = by_key_.find(key);
  if (found != by_key_.end()) return found->second->index;
  slots_.push_front({key, bytes, index});
  by_key_[key] = slots_.begin();
  bytes_ += bytes;
  while (bytes_ > max_bytes_ && slots_.size() > 1) {
    bytes_ -= slots_.back().bytes;
    by_key_.erase(slots_.back().key);
    slots_.pop_back();
  }
  return index;
}

}  // namespace navit
