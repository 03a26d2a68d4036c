#include "packer/sample_order.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "packer/epoch_order.h"

namespace navit {
namespace {

absl::Status Invalid(absl::string_view split, absl::string_view what, uint64_t stated,
                     uint64_t found) {
  return absl::InvalidArgumentError(
      absl::StrCat("manifest: ", split, what, " is ", stated, ", its shards have ", found));
}

// The last i with first[i] <= value.
uint32_t Locate(const std::vector<uint64_t>& first, uint64_t value) {
  const auto after = std::upper_bound(first.begin(), first.end(), value);
  return static_cast<uint32_t>(after - first.begin() - 1);
}

}  // namespace

absl::StatusOr<SampleRange> SampleRange::Create(const Shards& shards, const Datasets& datasets,
                                                uint64_t stated, absl::string_view split) {
  SampleRange range(shards);
  for (const v1::ShardEntry& shard : shards) {
    if (shard.samples() == 0) {
      return absl::InvalidArgumentError(absl::StrCat("manifest: ", shard.path(), ": no samples"));
    }
    range.shard_first_.push_back(range.samples() + shard.samples());
  }
  if (range.samples() != stated) return Invalid(split, "_samples", stated, range.samples());
  uint64_t end_shard = 0;
  for (const v1::DatasetEntry& dataset : datasets) {
    end_shard += dataset.shards();
    const uint64_t end = range.dataset_first_.back() + dataset.samples();
    if (dataset.samples() == 0 || end_shard > static_cast<uint64_t>(shards.size()) ||
        range.shard_first_[end_shard] != end) {
      return absl::InvalidArgumentError(absl::StrCat("manifest: ", split, "_datasets[",
                                                     range.dataset_first_.size() - 1,
                                                     "] does not fit its shards"));
    }
    range.dataset_first_.push_back(end);
  }
  if (range.dataset_first_.back() != range.samples()) {
    return Invalid(split, "_datasets", range.dataset_first_.back(), range.samples());
  }
  return range;
}

OrderedSample SampleRange::Find(uint64_t id) const {
  OrderedSample found;
  found.id = id;
  found.dataset = Locate(dataset_first_, id);
  found.sample = id - dataset_first_[found.dataset];
  found.shard = Locate(shard_first_, id);
  found.row = static_cast<uint32_t>(id - shard_first_[found.shard]);
  return found;
}

std::vector<OrderedSample> SampleRange::InShardOrder(uint64_t first, uint64_t count,
                                                     uint64_t of) const {
  // first + i of `of`, in whole numbers that do not overflow.
  const uint64_t step = this->samples() / of, rest = this->samples() % of;
  std::vector<OrderedSample> samples(count);
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t place = first + i;
    samples[i] = Find(place * step + place * rest / of);
  }
  return samples;
}

std::vector<OrderedSample> SampleRange::Drawn(const StreamLayout& layout, uint64_t window,
                                              uint64_t seed, uint64_t window_samples) const {
  std::vector<OrderedSample> drawn;
  drawn.reserve(layout.Window(window).samples);
  for (uint32_t d = 0; d < layout.datasets(); ++d) {
    const uint64_t size = layout.dataset_samples(d);
    const DrawRange draws = layout.Draws(window, d);
    for (uint64_t first = draws.first; first < draws.end;) {
      const uint64_t epoch = first / size;
      const uint64_t end = std::min(draws.end, (epoch + 1) * size);
      const EpochOrder order(seed, d, epoch, size, window_samples);
      for (; first < end; ++first) {
        drawn.push_back(Find(dataset_first_[d] + order.Sample(first - epoch * size)));
        drawn.back().epoch = epoch;
      }
    }
  }
  return drawn;
}

}  // namespace navit
