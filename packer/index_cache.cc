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

absl::StatusOr<v1::CaptionIndex> LoadCaptions(ObjectStore* store, const v1::ShardEntry& entry,
                                              const v1::ShardIndex& index,
                                              const CaptionTokenizer& tokenizer) {
  absl::StatusOr<v1::CaptionIndex> captions =
      ReadCaptionIndex(store, CaptionSidecarPath(entry.index_path(), tokenizer.settings_hash()));
  if (captions.ok() && CaptionIndexFits(*captions, entry, tokenizer)) return captions;
  if (!captions.ok() && !absl::IsNotFound(captions.status()) &&
      !absl::IsInvalidArgument(captions.status())) {
    return captions.status();
  }
  return BuildCaptionIndex(store, entry, index, tokenizer);
}

std::string KeyOf(const v1::ShardEntry& entry) {
  return absl::StrCat(entry.index_path(), "\n", entry.path(), "\n", entry.hash(), "\n",
                      entry.bytes(), "\n", entry.samples());
}

}  // namespace

absl::StatusOr<std::shared_ptr<const v1::ShardIndex>> IndexCache::Get(const v1::ShardEntry& entry) {
  NAVIT_ASSIGN_OR_RETURN(const Message index,
                         GetOrLoad(KeyOf(entry), [&]() -> absl::StatusOr<Message> {
                           NAVIT_ASSIGN_OR_RETURN(v1::ShardIndex loaded, Load(store_.get(), entry));
                           return std::make_shared<const v1::ShardIndex>(std::move(loaded));
                         }));
  return std::static_pointer_cast<const v1::ShardIndex>(index);
}

absl::StatusOr<std::shared_ptr<const v1::CaptionIndex>> IndexCache::GetCaptions(
    const v1::ShardEntry& entry, const CaptionTokenizer& tokenizer) {
  const std::string key = absl::StrCat(KeyOf(entry), "\n", tokenizer.settings_hash());
  NAVIT_ASSIGN_OR_RETURN(
      const Message captions, GetOrLoad(key, [&]() -> absl::StatusOr<Message> {
        NAVIT_ASSIGN_OR_RETURN(const std::shared_ptr<const v1::ShardIndex> index, Get(entry));
        NAVIT_ASSIGN_OR_RETURN(v1::CaptionIndex loaded,
                               LoadCaptions(store_.get(), entry, *index, tokenizer));
        return std::make_shared<const v1::CaptionIndex>(std::move(loaded));
      }));
  return std::static_pointer_cast<const v1::CaptionIndex>(captions);
}

absl::StatusOr<IndexCache::Message> IndexCache::GetOrLoad(
    const std::string& key, const std::function<absl::StatusOr<Message>()>& load) {
  {
    absl::MutexLock lock(&mutex_);
    const auto found = by_key_.find(key);
    if (found != by_key_.end()) {
      slots_.splice(slots_.begin(), slots_, found->second);
      return found->second->message;
    }
  }
  // Two threads may load the same index at once; that costs time, never correctness.
  NAVIT_ASSIGN_OR_RETURN(const Message message, load());
  const uint64_t bytes = message->SpaceUsedLong();
  absl::MutexLock lock(&mutex_);
  const auto found = by_key_.find(key);
  if (found != by_key_.end()) return found->second->message;
  slots_.push_front({key, bytes, message});
  by_key_[key] = slots_.begin();
  bytes_ += bytes;
  while (bytes_ > max_bytes_ && slots_.size() > 1) {
    bytes_ -= slots_.back().bytes;
    by_key_.erase(slots_.back().key);
    slots_.pop_back();
  }
  return message;
}

}  // namespace navit
