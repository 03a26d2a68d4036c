#include "worker/model/linear_probe.h"

#include <cmath>
#include <utility>

#include "absl/status/status.h"
#include "common/status_macros.h"
#include "kernels/classification.h"
#include "kernels/linear.h"
#include "worker/model/lbfgs.h"

namespace navit {
namespace {

struct Moments {
  double examples = 0;
  std::vector<double> mean, variance;  // [dim]
};

// Over the examples of all ranks; in two passes, so that large means do not cancel.
absl::StatusOr<Moments> ComputeMoments(const LinearProbeArgs& args, Collective* collective) {
  const size_t rows = args.labels.size(), dim = args.dim;
  std::vector<double> sums(dim + 1);
  sums[dim] = static_cast<double>(rows);
  for (size_t r = 0; r < rows; ++r) {
    for (size_t d = 0; d < dim; ++d) sums[d] += args.features[r * dim + d];
  }
  NAVIT_RETURN_IF_ERROR(collective->AllReduceSum(absl::MakeSpan(sums)));
  Moments moments;
  moments.examples = sums[dim];
  if (moments.examples == 0) {
    return absl::FailedPreconditionError("the linear probe has no examples to fit");
  }
  sums.pop_back();
  for (double& sum : sums) sum /= moments.examples;
  moments.mean = std::move(sums);
  moments.variance.resize(dim);
  for (size_t r = 0; r < rows; ++r) {
    for (size_t d = 0; d < dim; ++d) {
      const double difference = args.features[r * dim + d] - moments.mean[d];
      moments.variance[d] += difference * difference;
    }
  }
  NAVIT_RETURN_IF_ERROR(collective->AllReduceSum(absl::MakeSpan(moments.variance)));
  for (double& variance : moments.variance) variance /= moments.examples;
  return moments;
}

// Weights, then biases.
std::vector<float> ToFloats(absl::Span<const double> x) { return {x.begin(), x.end()}; }

}  // namespace

absl::StatusOr<LinearProbe> LinearProbe::Fit(const LinearProbeArgs& args, Collective* collective,
                                             kernels::ThreadPool& pool) {
  NAVIT_ASSIGN_OR_RETURN(const Moments moments, ComputeMoments(args, collective));
  LinearProbe probe(args.dim, args.classes);
  probe.mean_ = ToFloats(moments.mean);
  for (const double variance : moments.variance) {
    // A feature that never changes says nothing.
    probe.inverse_deviation_.push_back(
        variance > 1e-20 ? static_cast<float>(1 / std::sqrt(variance)) : 0.0f);
  }
  const std::vector<float> features = probe.Standardise(args.features);
  const int64_t rows = static_cast<int64_t>(args.labels.size());
  const size_t weights = args.classes * args.dim;
  std::vector<float> logits(rows * args.classes);

  const auto objective = [&](absl::Span<const double> x,
                             absl::Span<double> gradient) -> absl::StatusOr<double> {
    const std::vector<float> parameters = ToFloats(x);
    kernels::LinearForward({.rows = rows,
                            .in = args.dim,
                            .out = args.classes,
                            .x = features.data(),
                            .weight = parameters.data(),
                            .bias = parameters.data() + weights,
                            .y = logits.data()},
                           pool);
    double loss = 0;
    kernels::SoftmaxClassification({.rows = rows,
                                    .classes = args.classes,
                                    .logits = logits.data(),
                                    .label = args.labels.data(),
                                    .weight = 1 / moments.examples,
                                    .dlogits = logits.data(),
                                    .loss = &loss},
                                   pool);
    std::vector<float> partial(parameters.size());
    kernels::LinearBackwardWeight({.rows = rows,
                                   .in = args.dim,
                                   .out = args.classes,
                                   .x = features.data(),
                                   .dy = logits.data(),
                                   .dweight = partial.data(),
                                   .dbias = partial.data() + weights},
                                  pool);
    std::vector<double> sums(partial.begin(), partial.end());
    sums.push_back(loss);
    NAVIT_RETURN_IF_ERROR(collective->AllReduceSum(absl::MakeSpan(sums)));
    double penalty = 0;
    for (size_t i = 0; i < gradient.size(); ++i) {
      const double decay = i < weights ? args.l2 * x[i] : 0;
      penalty += 0.5 * decay * x[i];
      gradient[i] = sums[i] + decay;
    }
    return sums.back() + penalty;
  };

  std::vector<double> x(weights + args.classes);
  NAVIT_ASSIGN_OR_RETURN(const LbfgsResult fitted,
                         MinimizeLbfgs(objective, {.max_iterations = args.max_iterations}, &x));
  probe.iterations_ = fitted.iterations;
  probe.weight_ = ToFloats(absl::MakeConstSpan(x).first(weights));
  probe.bias_ = ToFloats(absl::MakeConstSpan(x).subspan(weights));
  return probe;
}

std::vector<float> LinearProbe::Standardise(absl::Span<const float> features) const {
  std::vector<float> standard(features.begin(), features.end());
  for (size_t i = 0; i < standard.size(); ++i) {
    const size_t d = i % dim_;
    standard[i] = (standard[i] - mean_[d]) * inverse_deviation_[d];
  }
  return standard;
}

std::vector<float> LinearProbe::Logits(absl::Span<const float> features,
                                       kernels::ThreadPool& pool) const {
  const std::vector<float> standard = Standardise(features);
  const int64_t rows = static_cast<int64_t>(features.size()) / dim_;
  std::vector<float> logits(rows * classes_);
  kernels::LinearForward({.rows = rows,
                          .in = dim_,
                          .out = classes_,
                          .x = standard.data(),
                          .weight = weight_.data(),
                          .bias = bias_.data(),
                          .y = logits.data()},
                         pool);
  return logits;
}

}  // namespace navit
