// What the method's distributions look like in Prometheus: packs are planned and made as a packer
// makes them, and the histograms are read from the text that it exposes.
#include "packer/metrics.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/metrics.h"
#include "gtest/gtest.h"
#include "packer/testing/encode.h"
#include "packer/testing/job.h"
#include "packer/testing/tar_writer.h"

namespace navit {
namespace {

constexpr int kSamples = 250;

// By upper bound: values up to it, as `le` says. +Inf holds the number of all.
using Cumulative = std::map<double, double>;

// Of `name` of the job in the exposition text.
Cumulative Histogram(const std::string& text, const std::string& name) {
  Cumulative histogram;
  const std::string begin = absl::StrCat(name, "_bucket{navit_job=\"test\",le=\"");
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!absl::ConsumePrefix(&line, begin)) continue;
    const std::vector<std::string> parts = absl::StrSplit(line, "\"} ");
    double bound = std::numeric_limits<double>::infinity(), count = 0;
    EXPECT_TRUE(parts[0] == "+Inf" || absl::SimpleAtod(parts[0], &bound)) << line;
    EXPECT_TRUE(absl::SimpleAtod(parts[1], &count)) << line;
    histogram[bound] = count;
  }
  EXPECT_FALSE(histogram.empty()) << name;
  return histogram;
}

double Images(const Cumulative& histogram) { return histogram.rbegin()->second; }
double Share(const Cumulative& histogram, double bound) {
  EXPECT_EQ(histogram.count(bound), 1u) << "no bucket ends at " << bound;
  return histogram.at(bound) / Images(histogram);
}

// The farthest distance from `cdf` over all bounds.
double Distance(const Cumulative& histogram, const std::function<double(double)>& cdf) {
  double worst = 0;
  for (const auto& [bound, count] : histogram) {
    if (std::isinf(bound)) continue;
    worst = std::max(worst, std::abs(count / Images(histogram) - cdf(bound)));
  }
  return worst;
}
// Kolmogorov and Smirnov: one sample in a thousand lies further off.
double FarOff(const Cumulative& histogram) { return 1.95 / std::sqrt(Images(histogram)); }

// I_x(a, b), by the midpoint rule in the variable that takes the singularity away.
double BetaCdf(double x, double a, double b) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > 0.5) return 1 - BetaCdf(1 - x, b, a);
  constexpr int kParts = 20000;
  const double end = std::pow(x, a);
  double sum = 0;
  for (int i = 0; i < kParts; ++i) {
    const double t = end * (i + 0.5) / kParts;
    sum += std::pow(1 - std::pow(t, 1 / a), b - 1);
  }
  return sum * end / kParts / a * std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b));
}

class MetricsTest : public ::testing::Test {
 protected:
  // A shard of images of these sizes, in turn.
  void WriteImages(const std::vector<std::pair<uint32_t, uint32_t>>& sizes) {
    testing::TarWriter tar;
    std::vector<std::string> images;
    for (const auto& [width, height] : sizes) {
      images.push_back(testing::EncodePng(testing::MakePicture(width, height, width)));
    }
    for (int i = 0; i < kSamples; ++i) {
      tar.Add(absl::StrCat(i, ".png"), images[i % images.size()]);
      tar.Add(absl::StrCat(i, ".txt"), "a caption");
    }
    const std::string shard = folder_ + "/0.tar";
    testing::WriteBytes(shard, tar.Finish());
    manifest_ = testing::MakeManifest({shard}, "");
  }

  // What a packer exposes after it made `epochs` epochs.
  std::string Exposed(const v1::JobSpec& spec, int epochs) const {
    const testing::DataPlane data(spec, manifest_);
    PackerMetrics metrics(1);
    for (int epoch = 0; epoch < epochs; ++epoch) {
      const auto plan = data.planner->Plan(v1::SPLIT_TRAIN, epoch);
      EXPECT_TRUE(plan.ok()) << plan.status();
      for (uint32_t p = 0; p < plan->packs(); ++p) {
        auto made = data.maker->Make(*plan, p);
        EXPECT_TRUE(made.ok()) << made.status();
        made->header.set_job("test");
        metrics.PackMade(made->header, made->stats, false);
      }
    }
    return MetricsText({metrics.registry()});
  }

  // Small patches, so that the share that an image drops is nearly the one that it drew.
  static v1::JobSpec Spec(int epochs) {
    v1::JobSpec spec = testing::MakeSpec(kSamples);
    spec.mutable_train_for()->set_epochs(epochs);
    spec.mutable_packing()->set_sequence_length(16384);
    spec.mutable_packing()->set_max_examples_per_sequence(64);
    spec.mutable_model()->mutable_image()->set_patch_size(2);
    spec.mutable_resolution()->set_distribution(v1::ResolutionSpec::DISTRIBUTION_NATIVE);
    spec.mutable_resolution()->set_max_pixels(128);
    return spec;
  }

  const std::string folder_ = testing::NewFolder("metrics");
  std::shared_ptr<const v1::DataManifest> manifest_;
};

// P(d < 0.1) in percent, as the paper prints it (FIELD.md), and the whole distribution.
TEST_F(MetricsTest, TokenDropIsTheBetaOfThePaper) {
  constexpr int kEpochs = 60;
  struct Cell {
    double max, mean, percent;
  };
  WriteImages({{64, 64}});
  for (const Cell& cell :
       {Cell{0.4, 0.1, 60.3}, Cell{0.4, 0.25, 11.5}, Cell{0.4, 0.35, 1.3}, Cell{0.7, 0.1, 66.9},
        Cell{0.7, 0.25, 27.3}, Cell{0.7, 0.5, 2.3}, Cell{0.7, 0.65, 0.1}, Cell{0.9, 0.1, 70.4},
        Cell{0.9, 0.25, 33.5}, Cell{0.9, 0.5, 5.9}, Cell{0.9, 0.7, 0.9}, Cell{0.9, 0.85, 0.1}}) {
    v1::JobSpec spec = Spec(kEpochs);
    spec.mutable_token_drop()->set_kind(v1::TokenDropSpec::BETA);
    spec.mutable_token_drop()->set_max(cell.max);
    spec.mutable_token_drop()->set_mean(cell.mean);
    const Cumulative drop = Histogram(Exposed(spec, kEpochs), "navit_token_drop_ratio");
    EXPECT_EQ(Images(drop), kEpochs * kSamples);
    EXPECT_NEAR(100 * Share(drop, 0.1), cell.percent, 0.8) << cell.max << " " << cell.mean;
    // a + b = 7/3 (FIELD.md). Whole patches of 1,024 are dropped: a share may count on either side
    // of a bound that it is so near to.
    const double u = cell.mean / cell.max;
    for (const double off : {-1.0 / 1024, 1.0 / 1024}) {
      const auto cdf = [&](double d) {
        return BetaCdf((d + off) / cell.max, 7.0 / 3 * u, 7.0 / 3 * (1 - u));
      };
      double beyond = 0;
      for (const auto& [bound, count] : drop) {
        beyond = std::max(beyond, (count / Images(drop) - cdf(bound)) * (off < 0 ? -1 : 1));
      }
      EXPECT_LT(beyond, FarOff(drop)) << cell.max << " " << cell.mean << " " << off;
    }
  }
}

TEST_F(MetricsTest, ResolutionIsTheOneDrawn) {
  constexpr int kEpochs = 40;
  WriteImages({{24, 24}});
  v1::JobSpec spec = Spec(kEpochs);
  spec.mutable_model()->mutable_image()->set_patch_size(16);
  spec.mutable_resolution()->set_max_upscale(64);
  spec.mutable_resolution()->set_min_pixels(64);
  spec.mutable_resolution()->set_distribution(v1::ResolutionSpec::DISTRIBUTION_UNIFORM);
  spec.mutable_resolution()->set_max_pixels(256);
  // A side is rounded down to whole pixels.
  const Cumulative uniform = Histogram(Exposed(spec, kEpochs), "navit_image_resolution_pixels");
  EXPECT_EQ(Images(uniform), kEpochs * kSamples);
  EXPECT_LT(
      Distance(uniform, [](double r) { return std::clamp((r + 1 - 64) / (256 - 64), 0.0, 1.0); }),
      FarOff(uniform));
  EXPECT_EQ(Share(uniform, 48), 0);
  EXPECT_EQ(Share(uniform, 256), 1);

  spec.mutable_resolution()->set_distribution(v1::ResolutionSpec::DISTRIBUTION_TRUNCATED_NORMAL);
  spec.mutable_resolution()->set_mu(-0.5);
  spec.mutable_resolution()->set_max_pixels(384);
  const Cumulative normal = Histogram(Exposed(spec, kEpochs), "navit_image_resolution_pixels");
  const auto phi = [](double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); };
  const double low = phi(-1 + 0.5), high = phi(1 + 0.5);
  const auto cdf = [&](double r) {
    const double u = std::clamp((r + 1 - 64) / 160 - 1, -1.0, 1.0);
    return (phi(u + 0.5) - low) / (high - low);
  };
  EXPECT_LT(Distance(normal, cdf), FarOff(normal));
  // The two can be told apart.
  EXPECT_GT(Distance(uniform, cdf), 3 * FarOff(uniform));
}

TEST_F(MetricsTest, AspectRatiosAreThoseOfTheSourceImages) {
  WriteImages({{40, 40}, {60, 30}, {30, 60}, {96, 20}, {45, 60}});
  const Cumulative aspect = Histogram(Exposed(Spec(2), 2), "navit_image_aspect_ratio");
  EXPECT_EQ(Images(aspect), 2 * kSamples);
  for (const auto& [bound, share] : Cumulative{{0.375, 0},
                                               {0.5, 0.2},
                                               {0.667, 0.2},
                                               {0.75, 0.4},
                                               {0.9, 0.4},
                                               {1, 0.6},
                                               {1.5, 0.6},
                                               {2, 0.8},
                                               {4, 0.8},
                                               {8, 1}}) {
    EXPECT_DOUBLE_EQ(Share(aspect, bound), share) << bound;
  }
}

}  // namespace
}  // namespace navit
