#include "packer/example_draws.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/stream_layout.h"
#include "packer/augmentation.h"
#include "packer/grid.h"
#include "packer/philox.h"
#include "packer/portable_math.h"

namespace navit {
namespace {

// Deviation of the resolution-dependent drop, and how many of them are allowed (NaViT, B.2).
constexpr double kDropDeviation = 0.02;
constexpr double kDropBound = 2;
// No schedule drops more.
constexpr double kMostDrop = 0.99;

absl::Status Invalid(absl::string_view field, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", what));
}

bool IsShare(double value) { return value >= 0 && value < 1; }

absl::Status CheckResolution(const v1::ResolutionSpec& resolution) {
  if (resolution.min_pixels() == 0 || resolution.max_pixels() < resolution.min_pixels() ||
      resolution.max_pixels() > 16384) {
    return Invalid("resolution.min_pixels", "must be in [1, max_pixels], max_pixels <= 16384");
  }
  if (!(resolution.max_upscale() > 0) || !(resolution.max_upscale() <= 64)) {
    return Invalid("resolution.max_upscale", "must be in (0, 64]");
  }
  if (resolution.distribution() != v1::ResolutionSpec::DISTRIBUTION_LIST) return absl::OkStatus();
  double weights = 0;
  for (const v1::ResolutionChoice& choice : resolution.list()) {
    if (choice.pixels() == 0 || choice.pixels() > 16384 || !(choice.weight() >= 0)) {
      return Invalid("resolution.list", "pixels must be in [1, 16384], weights 0 or more");
    }
    weights += choice.weight();
  }
  if (!(weights > 0)) return Invalid("resolution.list", "must have an entry of weight above 0");
  return absl::OkStatus();
}

absl::Status CheckCrop(const v1::CropSpec& crop) {
  if (!(crop.min_area() > 0) || !(crop.min_area() <= crop.max_area()) || !(crop.max_area() <= 1) ||
      !(crop.aspect_jitter() >= 1) || !(crop.aspect_jitter() <= 8)) {
    return Invalid("preprocess.crop",
                   "needs 0 < min_area <= max_area <= 1 and aspect_jitter in [1, 8]");
  }
  return absl::OkStatus();
}

absl::Status CheckDrop(const v1::TokenDropSpec& drop, uint64_t stream_samples) {
  if (drop.kind() == v1::TokenDropSpec::NONE) return absl::OkStatus();
  if (!IsShare(drop.mean()) || !IsShare(drop.max()) || !IsShare(drop.min())) {
    return Invalid("token_drop", "mean, min and max must be in [0, 1)");
  }
  if (drop.kind() == v1::TokenDropSpec::BETA && !(drop.max() > 0)) {
    return Invalid("token_drop.max", "must be above 0");
  }
  const v1::DropSchedule& schedule = drop.schedule();
  if (!schedule.has_from() || !schedule.has_to()) return absl::OkStatus();
  if (!IsShare(schedule.from()) || !IsShare(schedule.to()) || !(schedule.width() > 0)) {
    return Invalid("token_drop.schedule", "from and to must be in [0, 1), width above 0");
  }
  if (stream_samples == StreamLayout::kEndless && schedule.over_examples() == 0) {
    return Invalid("token_drop.schedule.over_examples", "is required for a job given in steps");
  }
  return absl::OkStatus();
}

// Patches of an image that has a sequence to itself.
uint32_t MostPatches(const v1::JobSpec& spec) {
  return spec.packing().sequence_length() - spec.model().image().prefix_tokens();
}

}  // namespace

absl::StatusOr<ExampleDraws> ExampleDraws::Create(const v1::JobSpec& spec,
                                                  uint64_t stream_samples) {
  if (absl::Status status = CheckResolution(spec.resolution()); !status.ok()) return status;
  if (absl::Status status = CheckCrop(spec.preprocess().crop()); !status.ok()) return status;
  if (absl::Status status = CheckDrop(spec.token_drop(), stream_samples); !status.ok()) {
    return status;
  }
  const v1::ImageTowerSpec& image = spec.model().image();
  if (image.patch_size() == 0 || image.patch_size() > 64) {
    return Invalid("model.image.patch_size", "must be in [1, 64]");
  }
  if (image.max_grid() == 0 || image.max_grid() > 4096) {
    return Invalid("model.image.max_grid", "must be in [1, 4096]");
  }
  if (spec.evaluation().token_budgets().empty()) {
    return Invalid("evaluation.token_budgets", "must have at least one");
  }
  for (const uint32_t budget : spec.evaluation().token_budgets()) {
    if (budget == 0 || budget > 65536) {
      return Invalid("evaluation.token_budgets", "must be in [1, 65536]");
    }
  }
  return ExampleDraws(spec, stream_samples);
}

ExampleDraws::ExampleDraws(const v1::JobSpec& spec, uint64_t stream_samples) : spec_(spec) {
  const v1::ResolutionSpec& resolution = spec_.resolution();
  uint64_t smallest = resolution.min_pixels(), largest = resolution.max_pixels();
  if (resolution.distribution() == v1::ResolutionSpec::DISTRIBUTION_TRUNCATED_NORMAL) {
    resolution_ = QuantileTable::TruncatedNormal(resolution.mu());
  } else if (resolution.distribution() == v1::ResolutionSpec::DISTRIBUTION_LIST) {
    double weights = 0, so_far = 0;
    for (const v1::ResolutionChoice& choice : resolution.list()) weights += choice.weight();
    smallest = largest = resolution.list(0).pixels();
    for (const v1::ResolutionChoice& choice : resolution.list()) {
      so_far += choice.weight();
      list_ends_.push_back(static_cast<uint64_t>(so_far / weights * 4294967296.0));
      smallest = std::min<uint64_t>(smallest, choice.pixels());
      largest = std::max<uint64_t>(largest, choice.pixels());
    }
  }
  max_upscale_ = static_cast<uint32_t>(resolution.max_upscale() * 65536);

  const v1::TokenDropSpec& drop = spec_.token_drop();
  drop_mean_ = drop.mean();
  if (drop.kind() == v1::TokenDropSpec::BETA) {
    drop_ = QuantileTable::Beta(drop.mean() / drop.max());
  } else if (drop.kind() == v1::TokenDropSpec::RESOLUTION_DEPENDENT) {
    drop_ = QuantileTable::TruncatedNormal(0, kDropBound);
    drop_mean_ = (drop.min() + drop.max()) / 2;
    const uint64_t patch = spec_.model().image().patch_size();
    const uint64_t budget = MostPatches(spec_);
    smallest_patches_ = std::clamp<uint64_t>(smallest * smallest / (patch * patch), 1, budget);
    largest_patches_ = std::clamp<uint64_t>(largest * largest / (patch * patch), 1, budget);
  }
  const v1::DropSchedule& schedule = drop.schedule();
  if (drop.kind() != v1::TokenDropSpec::NONE && schedule.has_from() && schedule.has_to()) {
    schedule_examples_ = static_cast<double>(schedule.over_examples() > 0 ? schedule.over_examples()
                                                                          : stream_samples);
  }
}

uint64_t ExampleDraws::DrawPixels(uint32_t width, uint32_t height, uint32_t u) const {
  const v1::ResolutionSpec& resolution = spec_.resolution();
  const uint64_t low = resolution.min_pixels();
  const uint64_t high = resolution.max_pixels();
  switch (resolution.distribution()) {
    case v1::ResolutionSpec::DISTRIBUTION_NATIVE:
      return std::min(uint64_t{width} * height, high * high) << 32;
    case v1::ResolutionSpec::DISTRIBUTION_LIST: {
      size_t i = 0;
      while (i + 1 < list_ends_.size() && u >= list_ends_[i]) ++i;
      const uint64_t side = resolution.list(static_cast<int>(i)).pixels();
      return side * side << 32;
    }
    default:
      break;
  }
  const uint64_t share = resolution_(u);  // 2^-32
  if (resolution.of() == v1::ResolutionSpec::AREA) {
    return (low * low << 32) + share * (high * high - low * low);
  }
  const uint64_t side = (low << 16) + (share * (high - low) >> 16);  // 2^-16
  return side * side;
}

uint32_t ExampleDraws::DrawDrop(uint64_t patches, uint32_t u) const {
  const v1::TokenDropSpec& drop = spec_.token_drop();
  switch (drop.kind()) {
    case v1::TokenDropSpec::CONSTANT:
      return ShareToQ32(drop.mean());
    case v1::TokenDropSpec::BETA:
      return static_cast<uint32_t>(uint64_t{drop_(u)} * ShareToQ32(drop.max()) >> 32);
    case v1::TokenDropSpec::RESOLUTION_DEPENDENT: {
      const double place =
          largest_patches_ == smallest_patches_
              ? 0.5
              : (static_cast<double>(std::clamp(patches, smallest_patches_, largest_patches_)) -
                 static_cast<double>(smallest_patches_)) /
                    static_cast<double>(largest_patches_ - smallest_patches_);
      const double noise = (drop_(u) / 4294967296.0 - 0.5) * (2 * kDropBound * kDropDeviation);
      return ShareToQ32(
          std::clamp(drop.min() + (drop.max() - drop.min()) * place + noise, 0.0, kMostDrop));
    }
    default:
      return 0;
  }
}

uint32_t ExampleDraws::ScheduledDrop(uint32_t drop, uint64_t seen) const {
  if (schedule_examples_ == 0) return drop;
  const v1::DropSchedule& schedule = spec_.token_drop().schedule();
  const double at = static_cast<double>(seen) / schedule_examples_;
  const double mean =
      schedule.from() + (schedule.to() - schedule.from()) *
                            portable::Sigmoid((at - schedule.midpoint()) / schedule.width());
  if (!(drop_mean_ > 0)) return ShareToQ32(mean);
  return ShareToQ32(std::min(kMostDrop, drop / 4294967296.0 * (mean / drop_mean_)));
}

DrawnTokens ExampleDraws::Training(uint32_t width, uint32_t height, uint32_t dataset,
                                   uint64_t epoch, uint64_t sample, uint64_t seen) const {
  const uint64_t seed = spec_.seed();
  const Part crop = DrawCrop(spec_.preprocess().crop(), width, height,
                             Draws(seed, dataset, epoch, sample, Purpose::kCrop));
  width = crop.width;
  height = crop.height;
  const uint64_t pixels =
      DrawPixels(width, height, Draws(seed, dataset, epoch, sample, Purpose::kResolution).Next());
  const Grid grid = ChooseGrid(
      width, height,
      AreaInPatches(width, height, pixels, max_upscale_, spec_.model().image().patch_size()),
      MostPatches(spec_), spec_.model().image().max_grid());
  const uint64_t patches = uint64_t{grid.rows} * grid.columns;
  const uint32_t drop = ScheduledDrop(
      DrawDrop(patches, Draws(seed, dataset, epoch, sample, Purpose::kDropRate).Next()), seen);
  const uint64_t dropped = (patches * drop + (uint64_t{1} << 31)) >> 32;
  DrawnTokens drawn;
  drawn.side = static_cast<uint32_t>(SideOfSquare(pixels) >> 16);
  drawn.grid_rows = grid.rows;
  drawn.grid_columns = grid.columns;
  drawn.tokens = static_cast<uint32_t>(std::max<uint64_t>(1, patches - dropped));
  return drawn;
}

DrawnTokens ExampleDraws::Evaluation(uint32_t width, uint32_t height, uint32_t budget) const {
  const Grid grid =
      ChooseGrid(width, height, uint64_t{budget} << 32, budget, spec_.model().image().max_grid());
  return {grid.rows, grid.columns, grid.rows * grid.columns, 0};
}

}  // namespace navit
