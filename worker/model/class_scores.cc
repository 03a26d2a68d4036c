#include "worker/model/class_scores.h"

#include <algorithm>
#include <cmath>

namespace navit {
namespace {

double Softmax(const float* logits, int64_t classes, int64_t named) {
  double sum = 0;
  for (int64_t j = 0; j < classes; ++j) {
    sum += std::exp(static_cast<double>(logits[j]) - logits[named]);
  }
  return 1 / sum;
}

double Sigmoid(double logit) { return 1 / (1 + std::exp(-logit)); }

}  // namespace

void ClassScores::Add(absl::Span<const float> logits, absl::Span<const int32_t> labels,
                      int64_t classes) {
  for (size_t i = 0; i < labels.size(); ++i) {
    const float* row = logits.data() + i * classes;
    const int64_t label = labels[i];
    int64_t ahead = 0;
    // Written so that a NaN is ahead of everything.
    for (int64_t j = 0; j < classes; ++j) ahead += j != label && !(row[j] < row[label]);
    sums_[kExamples] += 1;
    sums_[kTopOne] += ahead < 1;
    sums_[kTopFive] += ahead < 5;
    const int64_t named = std::max_element(row, row + classes) - row;
    const double probability = sigmoid_ ? Sigmoid(row[named]) : Softmax(row, classes, named);
    if (std::isnan(probability)) continue;
    const int bin = std::min(kBins - 1, static_cast<int>(probability * kBins));
    sums_[kFirstBin + bin] += probability - (named == label ? 1 : 0);
  }
}

absl::Status ClassScores::Merge(Collective* collective) {
  return collective->AllReduceSum(absl::MakeSpan(sums_));
}

double ClassScores::CalibrationError() const {
  double sum = 0;
  for (int bin = 0; bin < kBins; ++bin) sum += std::abs(sums_[kFirstBin + bin]);
  return Share(sum);
}

}  // namespace navit
