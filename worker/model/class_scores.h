// How well logits name the class of each example: accuracy and calibration.
#ifndef NAVIT_WORKER_MODEL_CLASS_SCORES_H_
#define NAVIT_WORKER_MODEL_CLASS_SCORES_H_

#include <array>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "worker/collective.h"

namespace navit {

// Sums over examples, so that ranks can count their own and add up. Not thread-safe.
class ClassScores {
 public:
  // As NaViT (arXiv 2307.06304) reports calibration.
  static constexpr int kBins = 30;

  // `sigmoid`: the probability of the class that is named is the sigmoid of its logit, as a sigmoid
  // loss means it; else its share of the softmax.
  explicit ClassScores(bool sigmoid) : sigmoid_(sigmoid) {}

  // `logits` [n, classes], `labels` [n] in [0, classes). Classes whose logit ties with the label's
  // count as ahead of it: equal logits of everything name nothing.
  void Add(absl::Span<const float> logits, absl::Span<const int32_t> labels, int64_t classes);
  // Makes the sums those of all ranks; all call it. The collective's errors.
  absl::Status Merge(Collective* collective);

  int64_t examples() const { return static_cast<int64_t>(sums_[kExamples]); }
  // Shares in [0, 1] of the examples whose label is among the `k` (1 or 5) largest logits. 0
  // without examples, as below.
  double TopOne() const { return Share(sums_[kTopOne]); }
  double TopFive() const { return Share(sums_[kTopFive]); }
  // Expected calibration error (Guo et al., arXiv 1706.04599): over bins of equal width of the
  // named class's probability, the mean of |accuracy - mean probability|, weighted by examples.
  double CalibrationError() const;

 private:
  // Then for each bin the sum of (probability - hit) over its examples.
  enum { kExamples, kTopOne, kTopFive, kFirstBin };

  double Share(double sum) const { return examples() == 0 ? 0 : sum / sums_[kExamples]; }

  const bool sigmoid_;
  std::array<double, kFirstBin + kBins> sums_ = {};
};

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_CLASS_SCORES_H_
