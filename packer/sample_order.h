// Where the samples of a stream are: position in an epoch's order -> sample -> shard and row
// (DESIGN.md, section 3, point 2).
#ifndef NAVIT_PACKER_SAMPLE_ORDER_H_
#define NAVIT_PACKER_SAMPLE_ORDER_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proto/data.pb.h"

namespace navit {

struct OrderedSample {
  // Position in the split's frozen order of shards: Hole.sample.
  uint64_t sample = 0;
  // Where the sample is: shard of the manifest's list, and row of that shard's index.
  uint32_t shard = 0;
  uint32_t row = 0;
};

// A frozen list of shards as one range of samples.
class SampleRange {
 public:
  using Shards = google::protobuf::RepeatedPtrField<v1::ShardEntry>;

  // `shards` must outlive the range. InvalidArgument names the split: a shard has no sample, or
  // their sum is not `stated`.
  static absl::StatusOr<SampleRange> Create(const Shards& shards, uint64_t stated,
                                            absl::string_view split);

  uint64_t samples() const { return first_.back(); }
  const v1::ShardEntry& Shard(uint32_t number) const {
    return (*shards_)[static_cast<int>(number)];
  }

  // Positions [first, first + count) in the order of the shards: the evaluation splits.
  std::vector<OrderedSample> InShardOrder(uint64_t first, uint64_t count) const;
  // Positions [first, first + count) of the shuffled order of `epoch` (packer/epoch_order.h).
  std::vector<OrderedSample> InEpochOrder(uint64_t seed, uint64_t epoch, uint64_t window_samples,
                                          uint64_t first, uint64_t count) const;

 private:
  explicit SampleRange(const Shards& shards) : shards_(&shards), first_{0} {}
  // Requires sample < samples().
  OrderedSample Find(uint64_t sample) const;

  const Shards* shards_;
  // first_[i] is the first sample of shard i; the last one is their sum.
  std::vector<uint64_t> first_;
};

}  // namespace navit

#endif  // NAVIT_PACKER_SAMPLE_ORDER_H_
