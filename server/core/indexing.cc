#include "server/core/indexing.h"

#include <xxhash.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"

namespace navit {
namespace {

// The pace is that of so many shards: sidecars that are there already pass at another one.
constexpr size_t kNewest = 64;

}  // namespace

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

absl::Status Indexing::SetShards(const v1::ShardList& shards, int train_datasets, double now) {
  uint64_t train = 0;
  for (int i = 0; i < shards.train_datasets_size(); ++i) {
    if (shards.train_datasets(i) == 0) {
      return absl::InvalidArgumentError(absl::StrCat("data.train[", i, "].shards names no shard"));
    }
    train += shards.train_datasets(i);
  }
  if (shards.train_datasets_size() != train_datasets ||
      train != static_cast<uint64_t>(shards.train_size())) {
    return absl::InvalidArgumentError(
        absl::StrCat("list of ", shards.train_size(), " shards of ", shards.train_datasets_size(),
                     " data sets that have ", train, ", for ", train_datasets));
  }
  expanded_ = true;
  train_datasets_.assign(shards.train_datasets().begin(), shards.train_datasets().end());
  shards_.assign(shards.train().begin(), shards.train().end());
  newest_ = {now};
  shards_.insert(shards_.end(), shards.validation().begin(), shards.validation().end());
  return absl::OkStatus();
}

absl::Status Indexing::SetEntry(uint64_t number, const v1::ShardEntry& entry, double now) {
  if (number >= shards_.size() || entry.path() != shards_[number]) {
    return absl::InvalidArgumentError(
        absl::StrCat("entry of shard ", entry.path(), " for shard number ", number));
  }
  const auto [old, is_new] = entries_.try_emplace(number);
  indexed_bytes_ += entry.bytes() - old->second.bytes();
  old->second = entry;
  if (is_new) newest_.push_back(now);
  if (newest_.size() > kNewest + 1) newest_.pop_front();
  while (entries_.count(first_missing_)) ++first_missing_;
  return absl::OkStatus();
}

double Indexing::remaining_seconds() const {
  if (newest_.size() < 2) return 0;
  const double pace = (newest_.back() - newest_.front()) / static_cast<double>(newest_.size() - 1);
  return pace * static_cast<double>(shards_.size() - entries_.size());
}

absl::Status Indexing::Manifest(v1::DataManifest* manifest) const {
  manifest->Clear();
  auto entry = entries_.begin();
  for (size_t d = 0; d < train_datasets_.size(); ++d) {
    v1::DatasetEntry* dataset = manifest->add_train_datasets();
    dataset->set_shards(train_datasets_[d]);
    for (uint64_t i = 0; i < train_datasets_[d]; ++i, ++entry) {
      *manifest->add_train() = entry->second;
      dataset->set_samples(dataset->samples() + entry->second.samples());
    }
    if (dataset->samples() == 0) {
      return absl::InvalidArgumentError(absl::StrCat("data.train[", d, "].shards hold no sample"));
    }
    manifest->set_train_samples(manifest->train_samples() + dataset->samples());
  }
  for (; entry != entries_.end(); ++entry) {
    *manifest->add_validation() = entry->second;
    manifest->set_validation_samples(manifest->validation_samples() + entry->second.samples());
  }
  return absl::OkStatus();
}

}  // namespace navit
