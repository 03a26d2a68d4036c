// What training will see, from plans of real windows of the real data: padding, images per sequence
// and step, cost of attention, sizes; and what packing costs, from a few sequences that are made.
#ifndef NAVIT_PACKER_AGENT_FORECAST_H_
#define NAVIT_PACKER_AGENT_FORECAST_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "packer/agent/data_plane.h"
#include "packer/agent/shard_sample.h"
#include "proto/job_spec.pb.h"
#include "proto/probe.pb.h"

namespace navit {

struct ForecastOptions {
  // Windows are planned, group after group, until one of these is reached; at least one group.
  uint64_t enough_samples = 131072;
  uint64_t most_windows = 512;
  absl::Duration plan_budget = absl::Seconds(4);
  // Sequences that are made, at most and at least one, to measure them.
  uint32_t most_made = 12;
  absl::Duration make_budget = absl::Seconds(2);
};

// `packs` are of `spec` over `sample`. Groups of windows lie spread over the stream, or are its
// first ones where it has no end. Errors are those of DataPlane::ReadIndex, JobPacks::Plan and
// Make.
absl::StatusOr<v1::Forecast> MakeForecast(const v1::JobSpec& spec, const ShardSample& sample,
                                          const JobPacks& packs, const ForecastOptions& options,
                                          const Clock& clock, DataPlane* data);

}  // namespace navit

#endif  // NAVIT_PACKER_AGENT_FORECAST_H_
