#include "common/stream_layout.h"

#include <algorithm>

namespace navit {

StreamLayout::StreamLayout(uint64_t dataset_samples, uint64_t window_samples,
                           uint64_t total_samples)
    : dataset_samples_(dataset_samples),
      window_samples_(window_samples),
      total_samples_(total_samples),
      windows_per_epoch_((dataset_samples + window_samples - 1) / window_samples) {}

StreamLayout StreamLayout::ForJob(const v1::JobSpec& spec, uint64_t dataset_samples) {
  uint64_t total = kEndless;
  if (spec.train_for().has_epochs()) total = spec.train_for().epochs() * dataset_samples;
  if (spec.train_for().has_examples()) total = spec.train_for().examples();
  return StreamLayout(dataset_samples, spec.packing().window_samples(), total);
}

StreamLayout StreamLayout::ForEvaluation(const v1::JobSpec& spec, uint64_t dataset_samples) {
  return StreamLayout(dataset_samples, spec.packing().window_samples(), dataset_samples);
}

uint64_t StreamLayout::windows() const {
  if (total_samples_ == kEndless) return kEndless;
  const uint64_t whole_epochs = total_samples_ / dataset_samples_;
  const uint64_t rest = total_samples_ % dataset_samples_;
  return whole_epochs * windows_per_epoch_ + (rest + window_samples_ - 1) / window_samples_;
}

WindowExtent StreamLayout::Window(uint64_t window) const {
  WindowExtent extent;
  extent.epoch = window / windows_per_epoch_;
  extent.first_in_epoch = window % windows_per_epoch_ * window_samples_;
  extent.first_in_stream = extent.epoch * dataset_samples_ + extent.first_in_epoch;
  extent.samples = std::min(window_samples_, dataset_samples_ - extent.first_in_epoch);
  if (total_samples_ != kEndless) {
    extent.samples = std::min(extent.samples, total_samples_ - extent.first_in_stream);
  }
  return extent;
}

}  // namespace navit
