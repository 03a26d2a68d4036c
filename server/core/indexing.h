// The indexing of one job: from shard patterns to the frozen shard list. In memory; a restart of
// the coordinator starts it anew, and packers find the sidecar indexes that are there already.
#ifndef NAVIT_SERVER_CORE_INDEXING_H_
#define NAVIT_SERVER_CORE_INDEXING_H_

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "proto/data.pb.h"
#include "proto/fleet.pb.h"

namespace navit {

// xxh3 (128 bits, hex) of the deterministic serialisation.
std::string ManifestHash(const v1::DataManifest& manifest);

class Indexing {
 public:
  bool expanded() const { return expanded_; }
  // The result of ExpandShards, at steady time `now`. INVALID_ARGUMENT: an entry of data.train has
  // no shard, or there are not `train_datasets` of them.
  absl::Status SetShards(const v1::ShardList& shards, int train_datasets, double now);

  // Shards are numbered train first, then validation.
  uint64_t shards_total() const { return shards_.size(); }
  uint64_t shards_indexed() const { return entries_.size(); }
  uint64_t indexed_bytes() const { return indexed_bytes_; }
  // Until the last shard is indexed, at the pace of the newest ones; 0: not known yet, or done.
  double remaining_seconds() const;
  const std::string& shard(uint64_t number) const { return shards_[number]; }
  // The entry of data.train that the shard is of; nullopt: it is held out.
  std::optional<int> TrainDataset(uint64_t number) const {
    for (size_t d = 0; d < train_datasets_.size(); ++d) {
      if (number < train_datasets_[d]) return static_cast<int>(d);
      number -= train_datasets_[d];
    }
    return std::nullopt;
  }
  // The lowest shard that is not indexed and for which `leased(number)` is false.
  template <typename Leased>
  std::optional<uint64_t> NextShard(Leased leased) const {
    for (uint64_t i = first_missing_; i < shards_.size(); ++i) {
      if (entries_.count(i) == 0 && !leased(i)) return i;
    }
    return std::nullopt;
  }
  // INVALID_ARGUMENT: the entry is of another shard.
  absl::Status SetEntry(uint64_t number, const v1::ShardEntry& entry, double now);

  bool done() const { return expanded_ && entries_.size() == shards_.size(); }
  // Requires done(). INVALID_ARGUMENT: the shards of an entry of data.train hold
  // no sample.
  absl::Status Manifest(v1::DataManifest* manifest) const;

 private:
  bool expanded_ = false;
  // Shards of each entry of data.train.
  std::vector<uint64_t> train_datasets_;
  std::vector<std::string> shards_;
  std::map<uint64_t, v1::ShardEntry> entries_;
  uint64_t first_missing_ = 0;
  uint64_t indexed_bytes_ = 0;
  // When the newest shards were indexed, the first of them only to count from: indexing began, or
  // an older shard.
  std::deque<double> newest_;
};

}  // namespace navit

#endif  // NAVIT_SERVER_CORE_INDEXING_H_
