#include "packer/sample_order.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "packer/epoch_order.h"

namespace navit {

absl::StatusOr<SampleRange> SampleRange::Create(const Shards& shards, uint64_t stated,
                                                absl::string_view split) {
  SampleRange range(shards);
  for (const v1::ShardEntry& shard : shards) {
    if (shard.samples() == 0) {
      return absl::InvalidArgumentError(absl::StrCat("manifest: ", shard.path(), ": no samples"));
    }
    range.first_.push_back(range.first_.back() + shard.samples());
  }
  if (range.samples() != stated) {
    return absl::InvalidArgumentError(absl::StrCat("manifest: ", split, "_samples is ", stated,
                                                   ", its shards have ", range.samples()));
  }
  return range;
}

OrderedSample SampleRange::Find(uint64_t sample) const {
  const auto after = std::upper_bound(first_.begin(), first_.end(), sample);
  OrderedSample found;
  found.sample = sample;
  found.shard = static_cast<uint32_t>(after - first_.begin() - 1);
  found.row = static_cast<uint32_t>(sample - first_[found.shard]);
  return found;
}

std::vector<OrderedSample> SampleRange::InShardOrder(uint64_t first, uint64_t count) const {
  std::vector<OrderedSample> samples(count);
  for (uint64_t i = 0; i < count; ++i) samples[i] = Find(first + i);
  return samples;
}

std::vector<OrderedSample> SampleRange::InEpochOrder(uint64_t seed, uint64_t epoch,
                                                     uint64_t window_samples, uint64_t first,
                                                     uint64_t count) const {
  const EpochOrder order(seed, 0, epoch, samples(), window_samples);
  std::vector<OrderedSample> ordered(count);
  for (uint64_t i = 0; i < count; ++i) ordered[i] = Find(order.Sample(first + i));
  return ordered;
}

}  // namespace navit
