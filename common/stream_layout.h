// The stream of samples that a job consumes, and the windows that it is cut into (DESIGN.md,
// section 3). Closed-form: the coordinator and every packer compute the same layout from the
// resolved spec and the sizes of the frozen data sets.
#ifndef NAVIT_COMMON_STREAM_LAYOUT_H_
#define NAVIT_COMMON_STREAM_LAYOUT_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "common/mixture.h"
#include "proto/data.pb.h"
#include "proto/job_spec.pb.h"
#include "proto/pack.pb.h"

namespace navit {

// Window `w` of the stream: its positions [first_in_epoch, first_in_epoch + samples) of `epoch`. A
// window never crosses an epoch; an epoch's last window may be short. The data sets of a mixture
// have epochs of their own, which windows do cross: such a stream is one epoch without an end.
struct WindowExtent {
  uint64_t epoch = 0;
  uint64_t first_in_epoch = 0;
  uint64_t samples = 0;
  // Position of the window's first sample in the whole stream.
  uint64_t first_in_stream = 0;
};

// Draws [first, end) of a data set: its n-th draw is position n % N of its epoch n / N, with N
// samples in the data set.
struct DrawRange {
  uint64_t first = 0;
  uint64_t end = 0;
};

class StreamLayout {
 public:
  static constexpr uint64_t kEndless = std::numeric_limits<uint64_t>::max();

  // Over one data set. `dataset_samples` > 0, `window_samples` > 0. `total_samples` is the length
  // of the stream: epochs x dataset_samples, or `examples`, or kEndless for a job given in steps.
  StreamLayout(uint64_t dataset_samples, uint64_t window_samples, uint64_t total_samples);
  // Over a mixture: `dataset_samples` as many as its data sets, each > 0.
  StreamLayout(std::vector<uint64_t> dataset_samples, Mixture mixture, uint64_t window_samples,
               uint64_t total_samples);

  // The layout of a resolved training job; requires one of data.train per entry of
  // manifest.train_datasets. A mixture is never given in epochs.
  static StreamLayout ForJob(const v1::JobSpec& spec, const v1::DataManifest& manifest);
  // An evaluation split: its samples in order, as one epoch for each of evaluation.token_budgets
  // (SPLIT_PROMPTS: one in all, which needs no manifest). nullopt: the job has no such samples.
  static std::optional<StreamLayout> ForEvaluation(const v1::JobSpec& spec,
                                                   const v1::DataManifest& manifest,
                                                   v1::Split split);

  // Windows of the stream; kEndless for a job given in steps.
  uint64_t windows() const;
  // Samples of the stream; kEndless for a job given in steps.
  uint64_t samples() const { return total_samples_; }
  // In the first so many windows every sample of every data set stands at least once.
  uint64_t windows_per_pass() const;
  // Requires window < windows().
  WindowExtent Window(uint64_t window) const;

  size_t datasets() const { return dataset_samples_.size(); }
  uint64_t dataset_samples(size_t dataset) const { return dataset_samples_[dataset]; }
  // What `window` takes of a data set. Requires window < windows().
  DrawRange Draws(uint64_t window, size_t dataset) const;

 private:
  std::vector<uint64_t> dataset_samples_;
  Mixture mixture_;
  uint64_t epoch_samples_;
  uint64_t window_samples_;
  uint64_t total_samples_;
  uint64_t windows_per_epoch_;
};

}  // namespace navit

#endif  // NAVIT_COMMON_STREAM_LAYOUT_H_
