// Where the samples of a stream are: draw of a data set -> epoch and position in its order ->
// sample
// -> shard and row (DESIGN.md, section 3, point 2).
#ifndef NAVIT_PACKER_SAMPLE_ORDER_H_
#define NAVIT_PACKER_SAMPLE_ORDER_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/stream_layout.h"
#include "proto/data.pb.h"

namespace navit {

struct OrderedSample {
  // Entry of data.train (or data.validation), and which of its epochs.
  uint32_t dataset = 0;
  uint64_t epoch = 0;
  // Position in the data set's frozen order of shards: what draws are keyed by.
  uint64_t sample = 0;
  // Position in the split's frozen order of shards, unique over its data sets: Hole.sample.
  uint64_t id = 0;
  // Where the sample is: shard of the manifest's list, and row of that shard's index.
  uint32_t shard = 0;
  uint32_t row = 0;
};

// The frozen list of a split's shards as one range of samples, data set after data set.
class SampleRange {
 public:
  using Shards = google::protobuf::RepeatedPtrField<v1::ShardEntry>;
  using Datasets = google::protobuf::RepeatedPtrField<v1::DatasetEntry>;

  // `shards` must outlive the range. InvalidArgument names the split: a shard has no sample, or
  // sums do not add up.
  static absl::StatusOr<SampleRange> Create(const Shards& shards, const Datasets& datasets,
                                            uint64_t stated, absl::string_view split);

  uint64_t samples() const { return shard_first_.back(); }
  const v1::ShardEntry& Shard(uint32_t number) const {
    return (*shards_)[static_cast<int>(number)];
  }

  // Positions [first, first + count) of `of` that lie evenly over the order of the shards: the
  // evaluation splits. Requires first + count <= of <= samples().
  std::vector<OrderedSample> InShardOrder(uint64_t first, uint64_t count, uint64_t of) const;
  // What `window` of the training stream draws: data set after data set, each in the shuffled order
  // of its epochs (packer/epoch_order.h). Requires the layout of this split.
  std::vector<OrderedSample> Drawn(const StreamLayout& layout, uint64_t window, uint64_t seed,
                                   uint64_t window_samples) const;

 private:
  explicit SampleRange(const Shards& shards) : shards_(&shards) {}
  // Requires id < samples().
  OrderedSample Find(uint64_t id) const;

  const Shards* shards_;
  // First sample of each shard and of each data set; the last element is their sum.
  std::vector<uint64_t> shard_first_ = {0};
  std::vector<uint64_t> dataset_first_ = {0};
};

}  // namespace navit

#endif  // NAVIT_PACKER_SAMPLE_ORDER_H_
