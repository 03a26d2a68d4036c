#include "common/stream_layout.h"

#include <algorithm>
#include <utility>

#include "common/prompts.h"

namespace navit {
namespace {

// No job draws as many samples.
constexpr uint64_t kNoEpochs = uint64_t{1} << 62;

}  // namespace

StreamLayout::StreamLayout(uint64_t dataset_samples, uint64_t window_samples,
                           uint64_t total_samples)
    : StreamLayout(std::vector<uint64_t>{dataset_samples}, Mixture({1}), window_samples,
                   total_samples) {}

StreamLayout::StreamLayout(std::vector<uint64_t> dataset_samples, Mixture mixture,
                           uint64_t window_samples, uint64_t total_samples)
    : dataset_samples_(std::move(dataset_samples)),
      mixture_(std::move(mixture)),
      epoch_samples_(dataset_samples_.size() == 1 ? dataset_samples_[0] : kNoEpochs),
      window_samples_(window_samples),
      total_samples_(total_samples),
      windows_per_epoch_((epoch_samples_ + window_samples - 1) / window_samples) {}

StreamLayout StreamLayout::ForJob(const v1::JobSpec& spec, const v1::DataManifest& manifest) {
  std::vector<uint64_t> samples;
  std::vector<double> weights;
  for (int d = 0; d < manifest.train_datasets_size(); ++d) {
    samples.push_back(manifest.train_datasets(d).samples());
    weights.push_back(spec.data().train(d).weight());
  }
  uint64_t total = kEndless;
  if (spec.train_for().has_epochs()) total = spec.train_for().epochs() * manifest.train_samples();
  if (spec.train_for().has_examples()) total = spec.train_for().examples();
  return StreamLayout(std::move(samples), Mixture(weights), spec.packing().window_samples(), total);
}

std::optional<StreamLayout> StreamLayout::ForEvaluation(const v1::JobSpec& spec,
                                                        const v1::DataManifest& manifest,
                                                        v1::Split split) {
  uint64_t samples = 0, passes = std::max(1, spec.evaluation().token_budgets_size());
  switch (split) {
    case v1::SPLIT_VALIDATION:
      samples = manifest.validation_samples();
      break;
    case v1::SPLIT_TRAINED_PAIRS:
      samples = manifest.train_samples();
      break;
    case v1::SPLIT_PROBE:
      samples =
          std::min<uint64_t>(manifest.train_samples(), spec.evaluation().linear_probe().samples());
      break;
    case v1::SPLIT_PROMPTS:
      samples = PromptCount(spec.evaluation().zero_shot());
      passes = 1;
      break;
    default:
      break;
  }
  if (samples == 0) return std::nullopt;
  return StreamLayout(samples, spec.packing().window_samples(), samples * passes);
}

uint64_t StreamLayout::windows() const {
  if (total_samples_ == kEndless) return kEndless;
  const uint64_t whole_epochs = total_samples_ / epoch_samples_;
  const uint64_t rest = total_samples_ % epoch_samples_;
  return whole_epochs * windows_per_epoch_ + (rest + window_samples_ - 1) / window_samples_;
}

uint64_t StreamLayout::windows_per_pass() const {
  if (datasets() == 1) return windows_per_epoch_;
  uint64_t positions = 0;
  for (size_t d = 0; d < datasets(); ++d) {
    positions = std::max(positions, mixture_.PositionsFor(d, dataset_samples_[d]));
  }
  return (positions + window_samples_ - 1) / window_samples_;
}

WindowExtent StreamLayout::Window(uint64_t window) const {
  WindowExtent extent;
  extent.epoch = window / windows_per_epoch_;
  extent.first_in_epoch = window % windows_per_epoch_ * window_samples_;
  extent.first_in_stream = extent.epoch * epoch_samples_ + extent.first_in_epoch;
  extent.samples = std::min(window_samples_, epoch_samples_ - extent.first_in_epoch);
  if (total_samples_ != kEndless) {
    extent.samples = std::min(extent.samples, total_samples_ - extent.first_in_stream);
  }
  return extent;
}

DrawRange StreamLayout::Draws(uint64_t window, size_t dataset) const {
  const WindowExtent extent = Window(window);
  return {mixture_.Count(dataset, extent.first_in_stream),
          mixture_.Count(dataset, extent.first_in_stream + extent.samples)};
}

}  // namespace navit
