#include "worker/model/contrastive_loss.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <tuple>
#include <vector>

#include "worker/collective_threads.h"

namespace navit {
namespace {

constexpr int64_t kDim = 20;

// The whole batch, and the loss by plain loops in double.
struct Problem {
  int64_t n = 0;
  std::vector<float> images, texts;
  std::vector<uint64_t> hashes;
  float parameter = 2.0f;
  float bias = -4.0f;
  float smoothing = 0;
  v1::LossSpec::Kind kind = v1::LossSpec::SOFTMAX;
  v1::LossSpec::EqualCaptions equal = v1::LossSpec::IGNORE;
};

Problem DrawProblem(int64_t n, uint64_t seed) {
  Problem problem;
  problem.n = n;
  std::mt19937_64 draw(seed);
  std::normal_distribution<float> normal;
  for (std::vector<float>* rows : {&problem.images, &problem.texts}) {
    rows->resize(n * kDim);
    for (int64_t i = 0; i < n; ++i) {
      double norm = 0;
      for (int64_t d = 0; d < kDim; ++d) {
        const float value = normal(draw);
        (*rows)[i * kDim + d] = value;
        norm += static_cast<double>(value) * value;
      }
      for (int64_t d = 0; d < kDim; ++d) {
        (*rows)[i * kDim + d] /= static_cast<float>(std::sqrt(norm));
      }
    }
  }
  for (int64_t i = 0; i < n; ++i) problem.hashes.push_back(1 + draw() % (n / 2 + 1));
  return problem;
}

struct Reference {
  double loss = 0, dparameter = 0, dbias = 0;
  std::vector<double> dimages, dtexts;
};

Reference Solve(const Problem& problem) {
  const int64_t n = problem.n;
  const double scale = std::exp(static_cast<double>(problem.parameter));
  std::vector<double> cosine(n * n);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      for (int64_t d = 0; d < kDim; ++d) {
        cosine[i * n + j] +=
            static_cast<double>(problem.images[i * kDim + d]) * problem.texts[j * kDim + d];
      }
    }
  }
  const auto equal = [&](int64_t i, int64_t j) { return problem.hashes[i] == problem.hashes[j]; };
  const auto counts = [&](int64_t i, int64_t j) {
    return i == j || problem.equal != v1::LossSpec::IGNORE || !equal(i, j);
  };
  const auto positive = [&](int64_t i, int64_t j) {
    return i == j || (problem.equal == v1::LossSpec::POSITIVES && equal(i, j));
  };
  Reference result;
  std::vector<double> gradient(n * n);
  const bool sigmoid = problem.kind == v1::LossSpec::SIGMOID;
  for (int64_t i = 0; sigmoid && i < n; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      if (!counts(i, j)) continue;
      const double z = scale * cosine[i * n + j] + problem.bias;
      const double target = (positive(i, j) ? 1 - problem.smoothing : 0) + 0.5 * problem.smoothing;
      const double p = 1 / (1 + std::exp(-z));
      result.loss += (std::max(z, 0.0) + std::log1p(std::exp(-std::abs(z))) - target * z) / n;
      gradient[i * n + j] = (p - target) / n;
      result.dbias += gradient[i * n + j];
    }
  }
  for (const bool by_row : {true, false}) {
    for (int64_t a = 0; !sigmoid && a < n; ++a) {
      const auto index = [&](int64_t b) { return by_row ? a * n + b : b * n + a; };
      double sum = 0;
      int64_t counting = 0, positives = 0;
      for (int64_t b = 0; b < n; ++b) {
        if (counts(a, b)) sum += std::exp(scale * cosine[index(b)]);
        counting += counts(a, b);
        positives += positive(a, b);
      }
      for (int64_t b = 0; b < n; ++b) {
        if (!counts(a, b)) continue;
        const double target =
            (positive(a, b) ? (1.0 - problem.smoothing) / static_cast<double>(positives) : 0) +
            problem.smoothing / static_cast<double>(counting);
        const double z = scale * cosine[index(b)];
        result.loss += target * (std::log(sum) - z) / (2.0 * n);
        gradient[index(b)] += (std::exp(z) / sum - target) / (2.0 * n);
      }
    }
  }
  result.dimages.resize(n * kDim);
  result.dtexts.resize(n * kDim);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      const double g = gradient[i * n + j];
      result.dparameter += g * scale * cosine[i * n + j];
      for (int64_t d = 0; d < kDim; ++d) {
        result.dimages[i * kDim + d] += g * scale * problem.texts[j * kDim + d];
        result.dtexts[j * kDim + d] += g * scale * problem.images[i * kDim + d];
      }
    }
  }
  return result;
}

struct Solution {
  std::vector<double> losses;
  std::vector<int64_t> examples;
  double dparameter = 0, dbias = 0;
  std::vector<float> dimages, dtexts;
};

// The problem dealt to ranks with rows[r] consecutive examples each.
Solution Distribute(const Problem& problem, const std::vector<int64_t>& rows) {
  Solution solution;
  const int world_size = static_cast<int>(rows.size());
  solution.losses.resize(world_size);
  solution.examples.resize(world_size);
  solution.dimages.assign(problem.n * kDim, -1);
  solution.dtexts.assign(problem.n * kDim, -1);
  std::vector<double> dparameter(world_size), dbias(world_size);
  RunRanks(world_size, [&](Collective* collective) {
    const int rank = collective->rank();
    int64_t first = 0;
    for (int r = 0; r < rank; ++r) first += rows[r];
    ContrastiveLossArgs args;
    args.dim = kDim;
    args.images = absl::MakeConstSpan(problem.images).subspan(first * kDim, rows[rank] * kDim);
    args.texts = absl::MakeConstSpan(problem.texts).subspan(first * kDim, rows[rank] * kDim);
    args.caption_hashes = absl::MakeConstSpan(problem.hashes).subspan(first, rows[rank]);
    args.logit_scale_parameter = problem.parameter;
    args.logit_bias = problem.bias;
    args.kind = problem.kind;
    args.equal_captions = problem.equal;
    args.label_smoothing = problem.smoothing;
    args.dimages = absl::MakeSpan(solution.dimages).subspan(first * kDim, rows[rank] * kDim);
    args.dtexts = absl::MakeSpan(solution.dtexts).subspan(first * kDim, rows[rank] * kDim);
    kernels::ThreadPool pool(1);
    CpuContrastiveKernels kernels(&pool);
    const absl::StatusOr<ContrastiveLossResult> result = ContrastiveLoss(args, collective, kernels);
    ASSERT_TRUE(result.ok()) << result.status();
    solution.losses[rank] = result->loss;
    solution.examples[rank] = result->examples;
    dparameter[rank] = result->dlogit_scale_parameter;
    dbias[rank] = result->dlogit_bias;
  });
  for (const double part : dparameter) solution.dparameter += part;
  for (const double part : dbias) solution.dbias += part;
  return solution;
}

void ExpectAgrees(const Solution& solution, const Reference& reference) {
  for (const double loss : solution.losses) {
    EXPECT_NEAR(loss, reference.loss, 1e-5 * std::abs(reference.loss) + 1e-7);
    EXPECT_EQ(loss, solution.losses[0]);
  }
  EXPECT_NEAR(solution.dparameter, reference.dparameter,
              1e-5 * std::abs(reference.dparameter) + 1e-6);
  EXPECT_NEAR(solution.dbias, reference.dbias, 1e-5 * std::abs(reference.dbias) + 1e-6);
  double largest = 0;
  for (const double value : reference.dimages) largest = std::max(largest, std::abs(value));
  for (size_t i = 0; i < solution.dimages.size(); ++i) {
    ASSERT_NEAR(solution.dimages[i], reference.dimages[i], 3e-5 * largest) << i;
    ASSERT_NEAR(solution.dtexts[i], reference.dtexts[i], 3e-5 * largest) << i;
  }
}

using Loss = v1::LossSpec;

TEST(ContrastiveLoss, EqualsThePlainLossForAnyDealOfTheRows) {
  for (const Loss::Kind kind : {Loss::SOFTMAX, Loss::SIGMOID}) {
    for (const Loss::EqualCaptions equal : {Loss::IGNORE, Loss::NEGATIVES, Loss::POSITIVES}) {
      for (const float smoothing : {0.0f, 0.15f}) {
        // Up to a scale of 100.
        for (const float parameter : {0.5f, 2.659f, 4.605f}) {
          Problem problem = DrawProblem(37, 11);
          problem.kind = kind;
          problem.equal = equal;
          problem.smoothing = smoothing;
          problem.parameter = parameter;
          const Reference reference = Solve(problem);
          for (const std::vector<int64_t>& rows : std::vector<std::vector<int64_t>>{
                   {37}, {20, 17}, {36, 1}, {5, 30, 2}, {0, 37, 0}, {7, 0, 13, 1, 16}}) {
            SCOPED_TRACE(::testing::PrintToString(std::tuple(Loss::Kind_Name(kind),
                                                             Loss::EqualCaptions_Name(equal),
                                                             smoothing, parameter, rows)));
            ExpectAgrees(Distribute(problem, rows), reference);
          }
        }
      }
    }
  }
}

TEST(ContrastiveLoss, EqualCaptionsChangeTheLoss) {
  Problem problem = DrawProblem(16, 5);
  const Reference ignored = Solve(problem);
  problem.equal = Loss::NEGATIVES;
  EXPECT_GT(Solve(problem).loss, ignored.loss);
}

TEST(ContrastiveLoss, OneExampleHasNoLossAndNoGradient) {
  const Problem problem = DrawProblem(1, 3);
  const Solution solution = Distribute(problem, {0, 1});
  EXPECT_NEAR(solution.losses[0], 0, 1e-6);
  for (const float value : solution.dimages) EXPECT_NEAR(value, 0, 1e-6);
}

TEST(ContrastiveLoss, NoExampleAnywhere) {
  const Solution solution = Distribute(Problem(), {0, 0, 0});
  for (const double loss : solution.losses) EXPECT_EQ(loss, 0);
  for (const int64_t examples : solution.examples) EXPECT_EQ(examples, 0);
}

TEST(ContrastiveLoss, AnAbortEndsEveryRank) {
  RunRanks(3, [&](Collective* collective) {
    if (collective->rank() == 1) {
      collective->Abort();
      return;
    }
    kernels::ThreadPool pool(1);
    CpuContrastiveKernels kernels(&pool);
    ContrastiveLossArgs args;
    args.dim = kDim;
    EXPECT_FALSE(ContrastiveLoss(args, collective, kernels).ok());
  });
}

}  // namespace
}  // namespace navit
