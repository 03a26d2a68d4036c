#include "worker/model/linear_probe.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "worker/collective_threads.h"
#include "worker/model/lbfgs.h"

namespace navit {
namespace {

TEST(Lbfgs, FindsTheMinimumOfAQuadraticOfAnyCondition) {
  // 1/2 Σ c_i (x_i - i)^2
  const std::vector<double> curvature = {1, 10, 100, 1000, 10000};
  std::vector<double> x(curvature.size(), 50);
  const auto result = MinimizeLbfgs(
      [&](absl::Span<const double> at, absl::Span<double> gradient) -> absl::StatusOr<double> {
        double value = 0;
        for (size_t i = 0; i < at.size(); ++i) {
          const double difference = at[i] - static_cast<double>(i);
          value += 0.5 * curvature[i] * difference * difference;
          gradient[i] = curvature[i] * difference;
        }
        return value;
      },
      {.max_iterations = 200}, &x);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(result->converged);
  for (size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(x[i], static_cast<double>(i), 1e-5);
}

TEST(Lbfgs, AnErrorOfTheObjectiveEndsIt) {
  std::vector<double> x = {1};
  int calls = 0;
  const auto result = MinimizeLbfgs(
      [&](absl::Span<const double> at, absl::Span<double> gradient) -> absl::StatusOr<double> {
        if (++calls == 2) return absl::AbortedError("over");
        gradient[0] = 2 * at[0];
        return at[0] * at[0] + at[0];
      },
      {}, &x);
  EXPECT_TRUE(absl::IsAborted(result.status()));
}

// Classes around centres, in features of very unequal scale.
struct Problem {
  static constexpr int64_t kDim = 6, kClasses = 3;
  std::vector<float> features;
  std::vector<int32_t> labels;
};

Problem Draw(int examples, uint32_t seed, float noise) {
  std::mt19937 draw(seed);
  std::normal_distribution<float> normal;
  Problem problem;
  for (int i = 0; i < examples; ++i) {
    const int label = static_cast<int>(draw() % Problem::kClasses);
    problem.labels.push_back(label);
    for (int d = 0; d < Problem::kDim; ++d) {
      const float centre = d % Problem::kClasses == label ? 1.0f : 0.0f;
      const float scale = d == 4 ? 1000.0f : d == 5 ? 0.0f : 1.0f;
      problem.features.push_back(100 + scale * (centre + noise * normal(draw)));
    }
  }
  return problem;
}

LinearProbeArgs Args(const Problem& problem, size_t first, size_t count) {
  LinearProbeArgs args;
  args.dim = Problem::kDim;
  args.classes = Problem::kClasses;
  args.features = absl::MakeConstSpan(problem.features).subspan(first * args.dim, count * args.dim);
  args.labels = absl::MakeConstSpan(problem.labels).subspan(first, count);
  return args;
}

int Hits(const LinearProbe& probe, const Problem& problem) {
  kernels::ThreadPool pool(1);
  const std::vector<float> logits = probe.Logits(problem.features, pool);
  int hits = 0;
  for (size_t i = 0; i < problem.labels.size(); ++i) {
    const float* row = logits.data() + i * Problem::kClasses;
    hits += std::max_element(row, row + Problem::kClasses) - row == problem.labels[i];
  }
  return hits;
}

TEST(LinearProbe, SeparatesWhatALineSeparates) {
  kernels::ThreadPool pool(2);
  const auto collectives = MakeThreadCollectives(1);
  const Problem train = Draw(300, 1, 0.1f), test = Draw(200, 2, 0.1f);
  const auto probe = LinearProbe::Fit(Args(train, 0, 300), collectives[0].get(), pool);
  ASSERT_TRUE(probe.ok()) << probe.status();
  EXPECT_EQ(Hits(*probe, test), 200);
  // Noise alone: no better than chance by much.
  const auto blind = LinearProbe::Fit(Args(Draw(300, 3, 50), 0, 300), collectives[0].get(), pool);
  ASSERT_TRUE(blind.ok());
  EXPECT_LT(Hits(*blind, Draw(200, 4, 50)), 100);
}

// The gradient of the whole objective is zero at its only minimum.
TEST(LinearProbe, EndsAtTheMinimum) {
  kernels::ThreadPool pool(1);
  const auto collectives = MakeThreadCollectives(1);
  const Problem problem = Draw(150, 7, 1);
  LinearProbeArgs args = Args(problem, 0, 150);
  args.l2 = 0.05;
  args.max_iterations = 500;
  const auto probe = LinearProbe::Fit(args, collectives[0].get(), pool);
  ASSERT_TRUE(probe.ok()) << probe.status();
  const std::vector<float> logits = probe->Logits(problem.features, pool);
  // Biases have no decay: the mean probability of each class is its share of the labels.
  for (int c = 0; c < Problem::kClasses; ++c) {
    double probability = 0, share = 0;
    for (size_t i = 0; i < problem.labels.size(); ++i) {
      double sum = 0;
      for (int j = 0; j < Problem::kClasses; ++j) sum += std::exp(logits[i * 3 + j]);
      probability += std::exp(logits[i * 3 + c]) / sum / 150;
      share += (problem.labels[i] == c) / 150.0;
    }
    EXPECT_NEAR(probability, share, 1e-5);
  }
}

TEST(LinearProbe, IsTheSameForAnyRanks) {
  const Problem problem = Draw(120, 11, 1);
  const auto collectives = MakeThreadCollectives(1);
  kernels::ThreadPool pool(1);
  const auto whole = LinearProbe::Fit(Args(problem, 0, 120), collectives[0].get(), pool);
  ASSERT_TRUE(whole.ok());
  const std::vector<float> expected = whole->Logits(problem.features, pool);
  std::vector<std::vector<float>> logits(3);
  RunRanks(3, [&](Collective* collective) {
    kernels::ThreadPool own(1);
    const size_t bounds[] = {0, 50, 50, 120};
    const size_t first = bounds[collective->rank()], end = bounds[collective->rank() + 1];
    const auto probe = LinearProbe::Fit(Args(problem, first, end - first), collective, own);
    ASSERT_TRUE(probe.ok()) << probe.status();
    logits[collective->rank()] = probe->Logits(problem.features, own);
  });
  EXPECT_EQ(logits[0], logits[1]);
  EXPECT_EQ(logits[0], logits[2]);
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(logits[0][i], expected[i], 5e-3);
}

TEST(LinearProbe, NeedsAnExample) {
  const auto collectives = MakeThreadCollectives(1);
  kernels::ThreadPool pool(1);
  EXPECT_TRUE(absl::IsFailedPrecondition(
      LinearProbe::Fit(Args(Problem(), 0, 0), collectives[0].get(), pool).status()));
}

}  // namespace
}  // namespace navit
