#include "worker/model/contrastive_loss.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
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
  bool ignore_equal = true;
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
  double loss = 0, dparameter = 0;
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
  const auto counts = [&](int64_t i, int64_t j) {
    return i == j || !problem.ignore_equal || problem.hashes[i] != problem.hashes[j];
  };
  Reference result;
  std::vector<double> gradient(n * n);
  for (const bool by_row : {true, false}) {
    for (int64_t a = 0; a < n; ++a) {
      const auto index = [&](int64_t b) { return by_row ? a * n + b : b * n + a; };
      double sum = 0;
      for (int64_t b = 0; b < n; ++b) {
        if (counts(a, b)) sum += std::exp(scale * cosine[index(b)]);
      }
      result.loss += (std::log(sum) - scale * cosine[index(a)]) / (2.0 * n);
      for (int64_t b = 0; b < n; ++b) {
        if (!counts(a, b)) continue;
        gradient[index(b)] +=
            (std::exp(scale * cosine[index(b)]) / sum - (a == b ? 1 : 0)) / (2.0 * n);
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
  double dparameter = 0;
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
  std::vector<double> dparameter(world_size);
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
    args.ignore_equal_captions = problem.ignore_equal;
    args.dimages = absl::MakeSpan(solution.dimages).subspan(first * kDim, rows[rank] * kDim);
    args.dtexts = absl::MakeSpan(solution.dtexts).subspan(first * kDim, rows[rank] * kDim);
    kernels::ThreadPool pool(1);
    const absl::StatusOr<ContrastiveLossResult> result = ContrastiveLoss(args, collective, pool);
    ASSERT_TRUE(result.ok()) << result.status();
    solution.losses[rank] = result->loss;
    solution.examples[rank] = result->examples;
    dparameter[rank] = result->dlogit_scale_parameter;
  });
  for (const double part : dparameter) solution.dparameter += part;
  return solution;
}

void ExpectAgrees(const Solution& solution, const Reference& reference) {
  for (const double loss : solution.losses) {
    EXPECT_NEAR(loss, reference.loss, 1e-5 * std::abs(reference.loss) + 1e-7);
    EXPECT_EQ(loss, solution.losses[0]);
  }
  EXPECT_NEAR(solution.dparameter, reference.dparameter,
              1e-5 * std::abs(reference.dparameter) + 1e-6);
  double largest = 0;
  for (const double value : reference.dimages) largest = std::max(largest, std::abs(value));
  for (size_t i = 0; i < solution.dimages.size(); ++i) {
    ASSERT_NEAR(solution.dimages[i], reference.dimages[i], 3e-5 * largest) << i;
    ASSERT_NEAR(solution.dtexts[i], reference.dtexts[i], 3e-5 * largest) << i;
  }
}

TEST(ContrastiveLoss, EqualsThePlainLossForAnyDealOfTheRows) {
  for (const bool ignore_equal : {true, false}) {
    for (const float parameter : {0.5f, 2.659f, 4.605f}) {
      Problem problem = DrawProblem(37, 11);
      problem.ignore_equal = ignore_equal;
      problem.parameter = parameter;
      const Reference reference = Solve(problem);
      for (const std::vector<int64_t>& rows : std::vector<std::vector<int64_t>>{
               {37}, {20, 17}, {36, 1}, {5, 30, 2}, {0, 37, 0}, {7, 0, 13, 1, 16}}) {
        SCOPED_TRACE(::testing::PrintToString(rows));
        ExpectAgrees(Distribute(problem, rows), reference);
      }
    }
  }
}

TEST(ContrastiveLoss, EqualCaptionsChangeTheLoss) {
  Problem problem = DrawProblem(16, 5);
  const Reference ignored = Solve(problem);
  problem.ignore_equal = false;
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
    ContrastiveLossArgs args;
    args.dim = kDim;
    EXPECT_FALSE(ContrastiveLoss(args, collective, pool).ok());
  });
}

}  // namespace
}  // namespace navit
