// The stream of samples that a job consumes, and the windows that it is cut into (DESIGN.md,
// section 3). Closed-form: the coordinator and every packer compute the same layout from the
// resolved spec and the size of the frozen data set.
#ifndef NAVIT_COMMON_STREAM_LAYOUT_H_
#define NAVIT_COMMON_STREAM_LAYOUT_H_

#include <cstdint>
#include <limits>

#include "proto/job_spec.pb.h"

namespace navit {

// Window `w` of the stream: samples [first_in_epoch, first_in_epoch + samples) of the shuffled order
// of `epoch`. A window never crosses an epoch; an epoch's last window may be short.
struct WindowExtent {
  uint64_t epoch = 0;
  uint64_t first_in_epoch = 0;
  uint64_t samples = 0;
  // Position of the window's first sample in the whole stream.
  uint64_t first_in_stream = 0;
};

class StreamLayout {
 public:
  static constexpr uint64_t kEndless = std::numeric_limits<uint64_t>::max();

  // `dataset_samples` > 0, `window_samples` > 0. `total_samples` is the length of the stream:
  // epochs x dataset_samples, or `examples`, or kEndless for a job given in steps.
  StreamLayout(uint64_t dataset_samples, uint64_t window_samples, uint64_t total_samples);

  // The layout of a resolved training job over `dataset_samples` samples.
  static StreamLayout ForJob(const v1::JobSpec& spec, uint64_t dataset_samples);
  // One pass over `dataset_samples` samples in shard order: the evaluation splits.
  static StreamLayout ForEvaluation(const v1::JobSpec& spec, uint64_t dataset_samples);

  // Windows of the stream; kEndless for a job given in steps.
  uint64_t windows() const;
  // Samples of the stream; kEndless for a job given in steps.
  uint64_t samples() const { return total_samples_; }
  uint64_t windows_per_epoch() const { return windows_per_epoch_; }
  // Requires window < windows().
  WindowExtent Window(uint64_t window) const;

 private:
  uint64_t dataset_samples_;
  uint64_t window_samples_;
  uint64_t total_samples_;
  uint64_t windows_per_epoch_;
};

}  // namespace navit

#endif  // NAVIT_COMMON_STREAM_LAYOUT_H_
