// A part of a spec's shards, indexed: enough to say what a job would do with its data, before one
// exists.
#ifndef NAVIT_PACKER_AGENT_SHARD_SAMPLE_H_
#define NAVIT_PACKER_AGENT_SHARD_SAMPLE_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "packer/agent/data_plane.h"
#include "proto/data.pb.h"
#include "proto/job_spec.pb.h"

namespace navit {

struct ShardSampleOptions {
  // No further shard is begun once so many samples are indexed, or so much time is over; each entry
  // of data.train has at least one.
  uint64_t enough_samples = 0;
  absl::Duration budget = absl::Seconds(10);
  // Of a shard with more bytes its beginning alone is indexed.
  uint64_t most_shard_bytes = uint64_t{1} << 30;
};

struct ShardSample {
  // The indexed shards alone, in the order of the job; nothing of data.validation.
  std::shared_ptr<const v1::DataManifest> manifest;
  // Shards that there are, of each entry of data.train.
  std::vector<uint64_t> shards_total;
  // Samples of each entry, judging by those indexed and the bytes and shards that are not.
  std::vector<double> samples_total;

  // Shards of all entries: indexed, and in all.
  uint64_t shards() const { return static_cast<uint64_t>(manifest->train_size()); }
  uint64_t all_shards() const;
};

// Expands the patterns of `spec`, then indexes shards that lie spread over each entry of
// data.train. Errors are those of DataPlane::Expand and Index.
absl::StatusOr<ShardSample> SampleShards(const v1::JobSpec& spec, const ShardSampleOptions& options,
                                         const Clock& clock, DataPlane* data);

}  // namespace navit

#endif  // NAVIT_PACKER_AGENT_SHARD_SAMPLE_H_
