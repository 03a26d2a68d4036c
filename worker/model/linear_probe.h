// Multinomial logistic regression on frozen features: what a representation is worth to the
// simplest classifier.
#ifndef NAVIT_WORKER_MODEL_LINEAR_PROBE_H_
#define NAVIT_WORKER_MODEL_LINEAR_PROBE_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "kernels/thread_pool.h"
#include "worker/collective.h"

namespace navit {

// This rank's n examples; n may be 0 and may differ between ranks.
struct LinearProbeArgs {
  int64_t dim = 0;
  int64_t classes = 0;
  absl::Span<const float> features;  // [n, dim]
  absl::Span<const int32_t> labels;  // [n] in [0, classes)
  // Weight of |W|^2 / 2 beside the mean cross-entropy; biases are free.
  double l2 = 1e-3;
  int max_iterations = 100;
};

class LinearProbe {
 public:
  // Features are standardised over the examples of all ranks, then L-BFGS starts from zero. Every
  // rank calls it, and gets the same probe. The collective's errors; FailedPrecondition: no rank
  // has an example.
  static absl::StatusOr<LinearProbe> Fit(const LinearProbeArgs& args, Collective* collective,
                                         kernels::ThreadPool& pool);

  // [n, classes] of `features` [n, dim].
  std::vector<float> Logits(absl::Span<const float> features, kernels::ThreadPool& pool) const;

  int iterations() const { return iterations_; }

 private:
  LinearProbe(int64_t dim, int64_t classes) : dim_(dim), classes_(classes) {}

  std::vector<float> Standardise(absl::Span<const float> features) const;

  int64_t dim_, classes_;
  int iterations_ = 0;
  std::vector<float> mean_, inverse_deviation_;  // [dim]
  std::vector<float> weight_, bias_;             // [classes, dim], [classes]
};

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_LINEAR_PROBE_H_
