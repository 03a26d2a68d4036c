#include "packer/agent/forecast.h"

#include <time.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "common/status_macros.h"
#include "common/stream_layout.h"

namespace navit {
namespace {

const std::vector<double>& SideBounds() {
  static const auto* bounds = new std::vector<double>{16,  32,  48,  64,   96,   128,  192,  256,
                                                      384, 512, 768, 1024, 1536, 2048, 3072, 4096};
  return *bounds;
}
// Symmetric: a bound's reciprocal is one too.
const std::vector<double>& AspectBounds() {
  static const auto* bounds = new std::vector<double>{1. / 8,  1. / 4, 1. / 2, 2. / 3, 3. / 4, 0.9,
                                                      1 / 0.9, 4. / 3, 3. / 2, 2,      4,      8};
  return *bounds;
}

class Counted {
 public:
  Counted(const std::vector<double>& bounds, v1::Forecast::Histogram* out) : out_(out) {
    out->mutable_upper_bounds()->Assign(bounds.begin(), bounds.end());
    out->mutable_counts()->Resize(static_cast<int>(bounds.size()) + 1, 0);
  }
  void Add(double value) {
    const auto& bounds = out_->upper_bounds();
    const auto bucket = std::upper_bound(bounds.begin(), bounds.end(), value) - bounds.begin();
    ++(*out_->mutable_counts())[static_cast<int>(bucket)];
  }

 private:
  v1::Forecast::Histogram* const out_;
};

double CoreSeconds() {
  timespec time = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

void SetSpread(std::vector<uint64_t> values, v1::Forecast::Spread* spread) {
  if (values.empty()) return;
  std::sort(values.begin(), values.end());
  double sum = 0;
  for (const uint64_t value : values) sum += static_cast<double>(value);
  const double last = static_cast<double>(values.size() - 1);
  spread->set_mean(sum / static_cast<double>(values.size()));
  spread->set_p1(static_cast<double>(values[static_cast<size_t>(std::floor(0.01 * last))]));
  spread->set_p99(static_cast<double>(values[static_cast<size_t>(std::ceil(0.99 * last))]));
}

void SetDatasets(const ShardSample& sample, v1::Forecast* forecast) {
  for (size_t d = 0; d < sample.shards_total.size(); ++d) {
    const v1::DatasetEntry& entry = sample.manifest->train_datasets(static_cast<int>(d));
    v1::Forecast::Dataset* out = forecast->add_datasets();
    out->set_shards(entry.shards());
    out->set_shards_total(sample.shards_total[d]);
    out->set_samples(entry.samples());
    out->set_samples_total(static_cast<uint64_t>(std::llround(sample.samples_total[d])));
  }
}

// The first windows of the groups to plan, in the order in which to take them.
std::vector<uint64_t> Groups(const StreamLayout& layout, uint64_t windows_per_group,
                             uint64_t most_windows) {
  const uint64_t most = std::max<uint64_t>(1, most_windows / windows_per_group);
  const uint64_t all = layout.windows() == StreamLayout::kEndless
                           ? most
                           : (layout.windows() + windows_per_group - 1) / windows_per_group;
  const uint64_t taken = std::min(most, all);
  std::vector<uint64_t> groups;
  // Spread at every length: each pass halves the distances.
  std::vector<bool> seen(taken, false);
  for (uint64_t stride = taken; stride > 0; stride /= 2) {
    for (uint64_t i = 0; i < taken; i += stride) {
      if (seen[i]) continue;
      seen[i] = true;
      groups.push_back(i * all / taken * windows_per_group);
    }
  }
  // Without an end there is nothing to spread over: the first come first.
  if (layout.windows() == StreamLayout::kEndless) std::sort(groups.begin(), groups.end());
  return groups;
}

// Adds up what plans say.
class Tally {
 public:
  Tally(const v1::JobSpec& spec, const ShardSample& sample, DataPlane* data, v1::Forecast* out)
      : patch_(spec.model().image().patch_size()),
        manifest_(*sample.manifest),
        data_(data),
        out_(out),
        source_sides_(SideBounds(), out->mutable_source_sides()),
        aspect_ratios_(AspectBounds(), out->mutable_aspect_ratios()),
        scaled_sides_(SideBounds(), out->mutable_scaled_sides()) {}

  absl::Status Add(const WindowPlan& plan) {
    const uint64_t length = plan.sequence_length;
    out_->set_windows(out_->windows() + 1);
    out_->set_samples(out_->samples() + plan.examples.size());
    out_->set_sequences(out_->sequences() + plan.packs());
    out_->set_capacity_tokens(out_->capacity_tokens() + plan.packs() * length);
    out_->set_dense_squares(out_->dense_squares() + plan.packs() * length * length);
    for (const PlannedExample& e : plan.examples) {
      if (e.tokens == 0) continue;
      out_->set_images(out_->images() + 1);
      const uint64_t tokens = uint64_t{e.tokens} + plan.prefix_tokens;
      out_->set_image_tokens(out_->image_tokens() + tokens);
      out_->set_image_squares(out_->image_squares() + tokens * tokens);
      out_->set_text_tokens(out_->text_tokens() + e.text_tokens);
      out_->set_text_squares(out_->text_squares() + uint64_t{e.text_tokens} * e.text_tokens);
      auto& index = indexes_[e.shard];
      if (index == nullptr) {
        NAVIT_ASSIGN_OR_RETURN(index, data_->ReadIndex(manifest_.train(static_cast<int>(e.shard))));
      }
      const int row = static_cast<int>(e.row);
      const double width = index->widths(row), height = index->heights(row);
      source_sides_.Add(std::sqrt(width * height));
      aspect_ratios_.Add(width / height);
      scaled_sides_.Add(patch_ * std::sqrt(1.0 * e.grid_rows * e.grid_columns));
      ++sizes_[{index->widths(row), index->heights(row)}];
    }
    return absl::OkStatus();
  }

  void SetCommonSize() {
    for (const auto& [size, images] : sizes_) {
      if (images <= out_->common_images()) continue;
      out_->set_common_width(size.first);
      out_->set_common_height(size.second);
      out_->set_common_images(images);
    }
  }

 private:
  const double patch_;
  const v1::DataManifest& manifest_;
  DataPlane* const data_;
  v1::Forecast* const out_;
  Counted source_sides_;
  Counted aspect_ratios_;
  Counted scaled_sides_;
  std::map<uint32_t, std::shared_ptr<const v1::ShardIndex>> indexes_;
  std::map<std::pair<uint32_t, uint32_t>, uint64_t> sizes_;
};

// Images of each pack, in the order of ordinals: round r takes pack r of every window of the group.
void AppendInOrder(const std::vector<std::vector<uint64_t>>& windows,
                   std::vector<uint64_t>* images) {
  size_t longest = 0;
  for (const auto& window : windows) longest = std::max(longest, window.size());
  for (size_t round = 0; round < longest; ++round) {
    for (const auto& window : windows) {
      if (round < window.size()) images->push_back(window[round]);
    }
  }
}

}  // namespace

absl::StatusOr<v1::Forecast> MakeForecast(const v1::JobSpec& spec, const ShardSample& sample,
                                          const JobPacks& packs, const ForecastOptions& options,
                                          const Clock& clock, DataPlane* data) {
  v1::Forecast forecast;
  SetDatasets(sample, &forecast);
  const StreamLayout layout = StreamLayout::ForJob(spec, *sample.manifest);
  const uint64_t k = spec.packing().windows_per_group();
  Tally tally(spec, sample, data, &forecast);
  WindowPlan first;
  std::vector<uint64_t> images;
  const absl::Duration plan_until = clock.SteadyNow() + options.plan_budget;
  for (const uint64_t group : Groups(layout, k, options.most_windows)) {
    if (forecast.windows() > 0 &&
        (forecast.samples() >= options.enough_samples || clock.SteadyNow() >= plan_until)) {
      break;
    }
    std::vector<std::vector<uint64_t>> of_windows;
    for (uint64_t w = group; w < std::min(group + k, layout.windows()); ++w) {
      const double before = CoreSeconds();
      NAVIT_ASSIGN_OR_RETURN(WindowPlan plan, packs.Plan(v1::SPLIT_TRAIN, w));
      forecast.set_planned_core_seconds(forecast.planned_core_seconds() + CoreSeconds() - before);
      NAVIT_RETURN_IF_ERROR(tally.Add(plan));
      std::vector<uint64_t>& of_packs = of_windows.emplace_back();
      for (uint32_t p = 0; p < plan.packs(); ++p) {
        of_packs.push_back(static_cast<uint64_t>(
            std::count_if(plan.examples.begin() + plan.pack_begin[p],
                          plan.examples.begin() + plan.pack_begin[p + 1],
                          [](const PlannedExample& example) { return example.tokens > 0; })));
      }
      if (forecast.windows() == 1) first = std::move(plan);
    }
    AppendInOrder(of_windows, &images);
  }
  tally.SetCommonSize();
  std::vector<uint64_t> steps;
  const size_t g = spec.packing().sequences_per_step();
  for (size_t i = 0; i + g <= images.size(); i += g) {
    steps.push_back(0);
    for (size_t j = i; j < i + g; ++j) steps.back() += images[j];
  }
  forecast.set_steps(steps.size());
  SetSpread(std::move(steps), forecast.mutable_images_per_step());
  SetSpread(std::move(images), forecast.mutable_images_per_sequence());

  const absl::Duration make_until = clock.SteadyNow() + options.make_budget;
  for (uint32_t p = 0; p < std::min(options.most_made, first.packs()); ++p) {
    if (p > 0 && clock.SteadyNow() >= make_until) break;
    const double before = CoreSeconds();
    NAVIT_ASSIGN_OR_RETURN(const PackedBytes made, packs.Make(first, p));
    forecast.set_made_core_seconds(forecast.made_core_seconds() + CoreSeconds() - before);
    forecast.set_made_sequences(p + 1);
    forecast.set_made_bytes(forecast.made_bytes() + made.payload.size());
  }
  return forecast;
}

}  // namespace navit
