// What is drawn for one image of training: its resolution and how many of its patches stay. A pure
// function of (spec, dataset, epoch, sample, images seen, image size), in integers (DESIGN.md,
// section 3, point 3).
#ifndef NAVIT_PACKER_EXAMPLE_DRAWS_H_
#define NAVIT_PACKER_EXAMPLE_DRAWS_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "packer/quantile_table.h"
#include "proto/job_spec.pb.h"

namespace navit {

struct DrawnTokens {
  // Grid before token drop, in patches, and tokens kept, at least 1.
  uint32_t grid_rows = 0;
  uint32_t grid_columns = 0;
  uint32_t tokens = 0;
  // Effective resolution R that was drawn, in pixels (evaluation: 0).
  uint32_t side = 0;
};

class ExampleDraws {
 public:
  // `spec` is resolved; `stream_samples`: images that the job trains on in all, or
  // StreamLayout::kEndless for a job given in steps. InvalidArgument names the field that the
  // arithmetic cannot take.
  static absl::StatusOr<ExampleDraws> Create(const v1::JobSpec& spec, uint64_t stream_samples);

  // An image of width x height pixels, as it is to be seen. `sample`: its number in its dataset;
  // `seen`: its place in the job's stream.
  DrawnTokens Training(uint32_t width, uint32_t height, uint32_t dataset, uint64_t epoch,
                       uint64_t sample, uint64_t seen) const;
  // The grid for `budget` tokens; nothing is drawn or dropped.
  DrawnTokens Evaluation(uint32_t width, uint32_t height, uint32_t budget) const;

 private:
  ExampleDraws(const v1::JobSpec& spec, uint64_t stream_samples);

  // Wished area, in units of 2^-32 pixels.
  uint64_t DrawPixels(uint32_t width, uint32_t height, uint32_t u) const;
  // Share of dropped patches of an image of `patches`, in 2^-32, before the schedule.
  uint32_t DrawDrop(uint64_t patches, uint32_t u) const;
  uint32_t ScheduledDrop(uint32_t drop, uint64_t seen) const;

  v1::JobSpec spec_;
  // Of u over the distribution's own interval.
  QuantileTable resolution_;
  QuantileTable drop_;
  // Cumulative weights of resolution.list, in 2^-32.
  std::vector<uint64_t> list_ends_;
  // Patches of the images that token_drop.min and token_drop.max are for.
  uint64_t smallest_patches_ = 1;
  uint64_t largest_patches_ = 1;
  uint32_t max_upscale_ = 0;  // 2^-16
  // Schedule: images it runs over (0: there is none), and the kind's own mean.
  double schedule_examples_ = 0;
  double drop_mean_ = 0;
};

}  // namespace navit

#endif  // NAVIT_PACKER_EXAMPLE_DRAWS_H_
