#include "cli/forecast_text.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/status_macros.h"
#include "worker/model/config.h"

namespace navit {
namespace {

constexpr double kTera = 1e12;
constexpr double kMega = 1e6;
// Share of images of one size from which on there is nothing to pack at native aspect ratio.
constexpr double kOneSize = 0.9;
constexpr int kBarColumns = 40;
// Useful TFLOP/s that a trainer is taken to do with each of its threads.
constexpr double kTeraPerThread = 0.06;

double Ratio(double a, double b) { return b > 0 ? a / b : 0; }

// Useful FLOPs of a forward pass over the forecast's images and captions. A segment of l tokens
// costs c + a l + b l^2.
double ForwardFlops(const ModelConfig& config, const v1::Forecast& forecast) {
  const auto sum = [](double count, double tokens, double squares, auto flops) {
    const double one = flops(1), two = flops(2), three = flops(3);
    const double b = (three - 2 * two + one) / 2;
    const double a = two - one - 3 * b;
    return (one - a - b) * count + a * tokens + b * squares;
  };
  // Of the patches alone: the forecast's tokens hold prefix tokens, whose work each image has
  // anyway.
  const double images = forecast.images();
  const double prefix = static_cast<double>(config.image.prefix_tokens);
  const double tokens = forecast.image_tokens();
  const double patches = tokens - prefix * images;
  const double squares = forecast.image_squares() - prefix * (2 * tokens - prefix * images);
  return sum(images, patches, squares,
             [&](int64_t l) { return UsefulForwardFlops(config, {l}, {}); }) +
         sum(forecast.images(), forecast.text_tokens(), forecast.text_squares(),
             [&](int64_t l) { return UsefulForwardFlops(config, {}, {l}); });
}

// "LOW to HIGH  ########  12.3 %" a bucket, from the first one that has a value to the last.
std::string Plot(const std::string& title, const v1::Forecast::Histogram& histogram, int decimals) {
  const auto& counts = histogram.counts();
  const auto& bounds = histogram.upper_bounds();
  double sum = 0, most = 0;
  for (const uint64_t count : counts) {
    sum += static_cast<double>(count);
    most = std::max(most, static_cast<double>(count));
  }
  if (sum == 0) return "";
  int first = 0, last = counts.size() - 1;
  while (counts[first] == 0) ++first;
  while (counts[last] == 0) --last;
  std::string text = absl::StrCat(title, "\n");
  for (int i = first; i <= last; ++i) {
    const double count = static_cast<double>(counts[i]);
    const std::string from = i == 0 ? "" : absl::StrFormat("%.*f", decimals, bounds[i - 1]);
    const std::string to = i == bounds.size() ? "" : absl::StrFormat("%.*f", decimals, bounds[i]);
    // A value that there is shows.
    const int columns =
        count > 0 ? std::max(1, static_cast<int>(std::lround(kBarColumns * count / most))) : 0;
    absl::StrAppendFormat(&text, "  %6s to %-6s %5.1f %%  %s\n", from, to, 100 * count / sum,
                          std::string(static_cast<size_t>(columns), '#'));
  }
  return text;
}

std::string DataLines(const v1::Forecast& forecast) {
  std::string text;
  const bool mixture = forecast.datasets_size() > 1;
  for (int d = 0; d < forecast.datasets_size(); ++d) {
    const v1::Forecast::Dataset& data = forecast.datasets(d);
    text += mixture ? absl::StrCat("data.train[", d, "]: ") : "data: ";
    if (data.shards() == data.shards_total()) {
      absl::StrAppendFormat(&text, "%d samples in %d shards\n", data.samples(), data.shards());
    } else {
      absl::StrAppendFormat(
          &text, "about %d samples in %d shards; looked at %d of them with %d samples\n",
          data.samples_total(), data.shards_total(), data.shards(), data.samples());
    }
  }
  return text;
}

std::string EpochLines(const v1::JobSpec& spec, const v1::Forecast& forecast) {
  const double per_step =
      Ratio(forecast.samples(), forecast.sequences()) * spec.packing().sequences_per_step();
  double weights = 0;
  for (const v1::Dataset& dataset : spec.data().train()) weights += dataset.weight();
  std::string text;
  for (int d = 0; d < forecast.datasets_size(); ++d) {
    const double share = spec.data().train(d).weight() / weights;
    if (forecast.datasets_size() > 1) absl::StrAppendFormat(&text, "data.train[%d] ", d);
    absl::StrAppendFormat(&text, "steps per epoch: %.1f\n",
                          Ratio(forecast.datasets(d).samples_total(), per_step * share));
  }
  return text;
}

}  // namespace

absl::StatusOr<std::string> ForecastText(const v1::JobSpec& spec, const v1::Forecast& f) {
  NAVIT_ASSIGN_OR_RETURN(const ModelConfig config,
                         ResolveModelConfig(spec.model(), spec.preprocess(), spec.loss()));
  const double sequences = static_cast<double>(f.sequences());
  const double g = spec.packing().sequences_per_step();
  std::string text = DataLines(f);
  absl::StrAppendFormat(&text, "planned: %d windows, %d samples, %d sequences\n", f.windows(),
                        f.samples(), f.sequences());
  absl::StrAppendFormat(&text, "expected padding: %.2f %%\n",
                        100 - 100 * Ratio(f.image_tokens(), f.capacity_tokens()));
  absl::StrAppendFormat(&text, "images per sequence: mean %.2f, p1 %.0f, p99 %.0f\n",
                        f.images_per_sequence().mean(), f.images_per_sequence().p1(),
                        f.images_per_sequence().p99());
  absl::StrAppendFormat(&text, "examples per step: mean %.1f", f.images_per_sequence().mean() * g);
  if (f.steps() > 0) {
    absl::StrAppendFormat(&text, ", p1 %.0f, p99 %.0f (of %d planned steps)",
                          f.images_per_step().p1(), f.images_per_step().p99(), f.steps());
  }
  if (f.samples() > f.images()) {
    absl::StrAppendFormat(&text, "\nsamples without an image or a caption: %.2f %%",
                          100 * Ratio(f.samples() - f.images(), f.samples()));
  }
  absl::StrAppendFormat(
      &text,
      "\nattention: sum of l^2 is %.4g per sequence, %.1f %% of the dense one over whole sequences "
      "(%.4g)\n",
      Ratio(f.image_squares(), sequences), 100 * Ratio(f.image_squares(), f.dense_squares()),
      Ratio(f.dense_squares(), sequences));
  if (config.has_text()) {
    absl::StrAppendFormat(&text, "caption tokens: mean %.1f\n",
                          Ratio(f.text_tokens(), f.images()));
  }
  text += EpochLines(spec, f);

  // For training: three times the forward pass.
  const double flops = 3 * Ratio(ForwardFlops(config, f), sequences);
  absl::StrAppendFormat(&text, "useful FLOPs per step: %.4g; the loss is not in it\n", flops * g);
  const double core_seconds =
      Ratio(f.made_core_seconds(), f.made_sequences()) + Ratio(f.planned_core_seconds(), sequences);
  const double bytes = Ratio(f.made_bytes(), f.made_sequences());
  // What a trainer needs grows with its speed, which is not known before it runs.
  const double tera = kTeraPerThread * spec.workers().trainers().threads();
  absl::StrAppendFormat(&text, "a trainer is taken to do %.2g useful TFLOP/s; in proportion:\n",
                        tera);
  absl::StrAppendFormat(&text,
                        "packer cores per trainer: %.3g for each useful TFLOP/s that it does (a "
                        "sequence takes %.1f ms of a core, measured on %d)\n",
                        Ratio(core_seconds * kTera, flops), 1e3 * core_seconds, f.made_sequences());
  absl::StrAppendFormat(&text, "relay bandwidth per trainer: %.3g MB/s; %.2f MB per step in all\n",
                        tera * Ratio(bytes * kTera, flops) / kMega, bytes * g / kMega);

  text +=
      Plot("images as they are, side in pixels (square root of the area):", f.source_sides(), 0);
  text += Plot("images as they are scaled, side in pixels:", f.scaled_sides(), 0);
  text += Plot("aspect ratio (width / height):", f.aspect_ratios(), 2);
  if (f.images() > 0 && Ratio(f.common_images(), f.images()) >= kOneSize) {
    absl::StrAppendFormat(
        &text,
        "warning: %.0f %% of the images have one size, %d x %d pixels: was the data set made with "
        "a resize_mode of img2dataset that crops or pads? Native aspect ratios are lost then; "
        "download with resize_mode=no or keep_ratio\n",
        100 * Ratio(f.common_images(), f.images()), f.common_width(), f.common_height());
  }
  return text;
}

}  // namespace navit
