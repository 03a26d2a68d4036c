#include "server/core/indexing.h"

#include <xxhash.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"

namespace navit {

std::string ManifestHash(const v1::DataManifest& manifest) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    manifest.SerializeToCodedStream(&coded);
  }
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return absl::StrFormat("%016x%016x", hash.high64, hash.low64);
}

absl::Status Indexing::SetShards(const v1::ShardList& shards) {
  if (shards.train_size() == 0) {
    return absl::InvalidArgumentError("data.train.shards names no shard");
  }
  expanded_ = true;
  train_shards_ = shards.train_size();
  shards_.assign(shards.train().begin(), shards.train().end());
  shards_.insert(shards_.end(), shards.validation().begin(), shards.validation().end());
  return absl::OkStatus();
}

absl::Status Indexing::SetEntry(uint64_t number, const v1::ShardEntry& entry) {
  if (number >= shards_.size() || entry.path() != shards_[number]) {
    return absl::InvalidArgumentError(
        absl::StrCat("entry of shard ", entry.path(), " for shard number ", number));
  }
  entries_[number] = entry;
  while (entries_.count(first_missing_)) ++first_missing_;
  return absl::OkStatus();
}

absl::Status Indexing::Manifest(v1::DataManifest* manifest) const {
  manifest->Clear();
  uint64_t train = 0, validation = 0;
  for (const auto& [number, entry] : entries_) {
    if (number < train_shards_) {
      *manifest->add_train() = entry;
      train += entry.samples();
    } else {
      *manifest->add_validation() = entry;
      validation += entry.samples();
    }
  }
  manifest->set_train_samples(train);
  manifest->set_validation_samples(validation);
  if (train == 0) return absl::InvalidArgumentError("data.train.shards hold no sample");
  return absl::OkStatus();
}

}  // namespace navit
