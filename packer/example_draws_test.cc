// Whether what is drawn has the distributions that the job file names, through the planner's own
// draws: seeds are fixed, sizes large enough that rounding to patches does not blur the answer.
#include "packer/example_draws.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/job_spec/resolve.h"
#include "common/stream_layout.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace navit {
namespace {

using testing::HasSubstr;

constexpr uint32_t kLarge = 4096;
constexpr int kDraws = 40000;

v1::JobSpec Spec(const std::function<void(v1::JobSpec&)>& change = [](v1::JobSpec&) {}) {
  v1::JobSpec spec;
  spec.mutable_train_for()->set_examples(1'000'000);
  change(spec);
  ResolveJobSpec(&spec);
  return spec;
}

ExampleDraws Make(const v1::JobSpec& spec) {
  absl::StatusOr<ExampleDraws> draws = ExampleDraws::Create(
      spec, spec.train_for().has_steps() ? StreamLayout::kEndless : spec.train_for().examples());
  EXPECT_TRUE(draws.ok()) << draws.status();
  return *std::move(draws);
}

std::vector<DrawnTokens> DrawMany(const v1::JobSpec& spec, uint64_t seen = 0) {
  const ExampleDraws draws = Make(spec);
  std::vector<DrawnTokens> drawn;
  for (int i = 0; i < kDraws; ++i) drawn.push_back(draws.Training(kLarge, kLarge, 0, 3, i, seen));
  return drawn;
}

double DropOf(const DrawnTokens& drawn) {
  return 1 - static_cast<double>(drawn.tokens) / (drawn.grid_rows * drawn.grid_columns);
}

// Largest distance between the share of draws of at most R pixels and `cdf`(R).
double KolmogorovSmirnov(const v1::JobSpec& spec, const std::function<double(double)>& cdf) {
  std::vector<uint32_t> sides;
  for (const DrawnTokens& drawn : DrawMany(spec)) sides.push_back(drawn.side);
  std::sort(sides.begin(), sides.end());
  double worst = 0;
  for (uint32_t side = sides.front(); side <= sides.back(); ++side) {
    const auto below = std::upper_bound(sides.begin(), sides.end(), side) - sides.begin();
    // `side` is rounded down.
    worst = std::max(worst, std::abs(static_cast<double>(below) / kDraws - cdf(side + 1)));
  }
  return worst;
}

// One in a thousand true hypotheses lies further off.
const double kFarOff = 1.95 / std::sqrt(kDraws);

double Clamp01(double x) { return std::clamp(x, 0.0, 1.0); }

TEST(Resolution, UniformSide) {
  const v1::JobSpec spec = Spec([](v1::JobSpec& s) {
    s.mutable_resolution()->set_distribution(v1::ResolutionSpec::DISTRIBUTION_UNIFORM);
  });
  EXPECT_LT(KolmogorovSmirnov(spec, [](double r) { return Clamp01((r - 64) / 320); }), kFarOff);
}

TEST(Resolution, UniformArea) {
  const v1::JobSpec spec = Spec([](v1::JobSpec& s) {
    s.mutable_resolution()->set_distribution(v1::ResolutionSpec::DISTRIBUTION_UNIFORM);
    s.mutable_resolution()->set_of(v1::ResolutionSpec::AREA);
  });
  EXPECT_LT(
      KolmogorovSmirnov(
          spec, [](double r) { return Clamp01((r * r - 64 * 64) / (384 * 384 - 64 * 64.0)); }),
      kFarOff);
}

TEST(Resolution, TruncatedNormalOfAnyMu) {
  const auto phi = [](double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); };
  for (const double mu : {-3.0, -0.5, 0.0, 0.5, 3.0}) {
    const v1::JobSpec spec = Spec([&](v1::JobSpec& s) { s.mutable_resolution()->set_mu(mu); });
    const double low = phi(-1 - mu), high = phi(1 - mu);
    EXPECT_LT(KolmogorovSmirnov(spec,
                                [&](double r) {
                                  const double u = std::clamp((r - 64) / 160 - 1, -1.0, 1.0);
                                  return (phi(u - mu) - low) / (high - low);
                                }),
              kFarOff)
        << mu;
  }
}

TEST(Resolution, ListByWeight) {
  const v1::JobSpec spec = Spec([](v1::JobSpec& s) {
    s.mutable_resolution()->set_distribution(v1::ResolutionSpec::DISTRIBUTION_LIST);
    const std::pair<uint32_t, double> choices[] = {{64, 1}, {128, 0}, {224, 6}, {384, 3}};
    for (const auto& [pixels, weight] : choices) {
      v1::ResolutionChoice* choice = s.mutable_resolution()->add_list();
      choice->set_pixels(pixels);
      choice->set_weight(weight);
    }
  });
  std::map<uint32_t, double> share;
  for (const DrawnTokens& drawn : DrawMany(spec)) share[drawn.side] += 1.0 / kDraws;
  EXPECT_EQ(share.size(), 3);
  EXPECT_NEAR(share[64], 0.1, 0.006);
  EXPECT_NEAR(share[224], 0.6, 0.01);
  EXPECT_NEAR(share[384], 0.3, 0.01);
}

TEST(Resolution, NativeIsTheImagesOwnUpToTheCap) {
  const ExampleDraws draws = Make(Spec([](v1::JobSpec& s) {
    s.mutable_resolution()->set_distribution(v1::ResolutionSpec::DISTRIBUTION_NATIVE);
    s.mutable_token_drop()->set_kind(v1::TokenDropSpec::NONE);
  }));
  const DrawnTokens small = draws.Training(160, 80, 0, 0, 0, 0);
  EXPECT_EQ(small.grid_rows, 5);
  EXPECT_EQ(small.grid_columns, 10);
  EXPECT_EQ(small.side, 113);  // the square root of 160 x 80
  const DrawnTokens capped = draws.Training(3000, 3000, 0, 0, 0, 0);
  EXPECT_EQ(capped.side, 384);
  EXPECT_EQ(capped.tokens, 576);
}

TEST(TokenDrop, ConstantIsConstant) {
  const v1::JobSpec spec = Spec([](v1::JobSpec& s) {
    s.mutable_token_drop()->set_kind(v1::TokenDropSpec::CONSTANT);
    s.mutable_token_drop()->set_mean(0.25);
  });
  for (const DrawnTokens& drawn : DrawMany(spec)) {
    EXPECT_NEAR(DropOf(drawn), 0.25, 0.5 / (drawn.grid_rows * drawn.grid_columns) + 1e-9);
  }
}

// NaViT, appendix B.2, prints P(d < 0.1) in percent.
TEST(TokenDrop, BetaAgreesWithThePapersTable) {
  const struct {
    double max, mean, percent;
  } cases[] = {{0.4, 0.1, 60.3},  {0.4, 0.25, 11.5}, {0.4, 0.35, 1.3}, {0.7, 0.1, 66.9},
               {0.7, 0.25, 27.3}, {0.7, 0.5, 2.3},   {0.7, 0.65, 0.1}, {0.9, 0.1, 70.4},
               {0.9, 0.25, 33.5}, {0.9, 0.5, 5.9},   {0.9, 0.7, 0.9},  {0.9, 0.85, 0.1}};
  for (const auto& c : cases) {
    const v1::JobSpec spec = Spec([&](v1::JobSpec& s) {
      s.mutable_token_drop()->set_mean(c.mean);
      s.mutable_token_drop()->set_max(c.max);
      // 16,384 patches: the rounding of the drop to whole patches is nothing.
      s.mutable_resolution()->set_distribution(v1::ResolutionSpec::DISTRIBUTION_NATIVE);
      s.mutable_resolution()->set_max_pixels(2048);
      s.mutable_packing()->set_sequence_length(65536);
    });
    int below = 0;
    for (const DrawnTokens& drawn : DrawMany(spec)) below += DropOf(drawn) < 0.1 ? 1 : 0;
    EXPECT_NEAR(100.0 * below / kDraws, c.percent, 0.8) << c.max << " " << c.mean;
  }
}

TEST(TokenDrop, ResolutionDependentRisesWithThePatches) {
  const v1::JobSpec spec = Spec([](v1::JobSpec& s) {
    s.mutable_token_drop()->set_kind(v1::TokenDropSpec::RESOLUTION_DEPENDENT);
    s.mutable_token_drop()->set_min(0.25);
    s.mutable_token_drop()->set_max(0.75);
  });
  double deviation_sum = 0, squares = 0;
  int large = 0;
  for (const DrawnTokens& drawn : DrawMany(spec)) {
    const double patches = drawn.grid_rows * drawn.grid_columns;
    const double centre = 0.25 + 0.5 * (std::clamp(patches, 16.0, 576.0) - 16) / 560;
    const double off = DropOf(drawn) - centre;
    ASSERT_LE(std::abs(off), 0.04 + 0.5 / patches + 1e-6) << patches;
    if (patches < 256) continue;
    deviation_sum += off;
    squares += off * off;
    ++large;
  }
  ASSERT_GT(large, 1000);
  EXPECT_NEAR(deviation_sum / large, 0, 0.001);
  // Normal(0, 0.02) within two deviations has 0.88 of its deviation.
  EXPECT_NEAR(std::sqrt(squares / large), 0.0176, 0.0005);
}

TEST(TokenDrop, ScheduleOverImagesSeen) {
  const auto schedule = [](v1::JobSpec& s) {
    s.mutable_token_drop()->set_kind(v1::TokenDropSpec::CONSTANT);
    s.mutable_token_drop()->set_mean(0.5);
    s.mutable_token_drop()->mutable_schedule()->set_from(0.8);
    s.mutable_token_drop()->mutable_schedule()->set_to(0.2);
  };
  const ExampleDraws draws = Make(Spec([&](v1::JobSpec& s) {
    schedule(s);
    s.mutable_resolution()->set_distribution(v1::ResolutionSpec::DISTRIBUTION_NATIVE);
    s.mutable_resolution()->set_max_pixels(2048);
    s.mutable_packing()->set_sequence_length(65536);
  }));
  for (const double at : {0.0, 0.3, 2.0 / 3, 0.9, 1.0}) {
    const DrawnTokens drawn =
        draws.Training(kLarge, kLarge, 0, 0, 0, static_cast<uint64_t>(at * 1'000'000));
    const double rho = 0.2 + 0.6 / (1 + std::exp((at - 2.0 / 3) / 0.2));
    EXPECT_NEAR(DropOf(drawn), rho, 1e-4) << at;
  }
  // With another kind it moves the mean.
  const v1::JobSpec beta = Spec([&](v1::JobSpec& s) {
    schedule(s);
    s.mutable_token_drop()->set_kind(v1::TokenDropSpec::BETA);
    s.mutable_token_drop()->set_mean(0.3);
    s.mutable_token_drop()->set_max(0.6);
  });
  double sum = 0;
  for (const DrawnTokens& drawn : DrawMany(beta, 2'000'000 / 3)) sum += DropOf(drawn);
  EXPECT_NEAR(sum / kDraws, 0.5, 0.01);
}

TEST(TokenDrop, ScheduleOfAJobInStepsNeedsItsLength) {
  v1::JobSpec spec = Spec([](v1::JobSpec& s) {
    s.mutable_train_for()->set_steps(100);
    s.mutable_token_drop()->mutable_schedule()->set_from(0.8);
    s.mutable_token_drop()->mutable_schedule()->set_to(0.2);
  });
  EXPECT_THAT(std::string(ExampleDraws::Create(spec, StreamLayout::kEndless).status().message()),
              HasSubstr("token_drop.schedule.over_examples"));
  spec.mutable_token_drop()->mutable_schedule()->set_over_examples(1000);
  EXPECT_TRUE(ExampleDraws::Create(spec, StreamLayout::kEndless).ok());
}

TEST(TokenDrop, AlwaysLeavesAToken) {
  const ExampleDraws draws = Make(Spec([](v1::JobSpec& s) {
    s.mutable_token_drop()->set_kind(v1::TokenDropSpec::CONSTANT);
    s.mutable_token_drop()->set_mean(0.99);
  }));
  for (uint32_t side = 1; side < 200; ++side) {
    EXPECT_GE(draws.Training(side, 1 + side / 7, 0, 0, side, 0).tokens, 1);
  }
}

TEST(ExampleDraws, DependOnSampleEpochAndDataset) {
  const ExampleDraws draws = Make(Spec());
  const auto side = [&](uint32_t dataset, uint64_t epoch, uint64_t sample) {
    return draws.Training(kLarge, kLarge, dataset, epoch, sample, 0).side;
  };
  EXPECT_EQ(side(0, 1, 5), side(0, 1, 5));
  int equal = 0;
  for (uint64_t sample = 0; sample < 100; ++sample) {
    equal += side(0, 1, sample) == side(0, 2, sample) ? 1 : 0;
    equal += side(0, 1, sample) == side(1, 1, sample) ? 1 : 0;
  }
  EXPECT_LT(equal, 10);
}

}  // namespace
}  // namespace navit
