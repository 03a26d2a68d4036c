#include "worker/stuck_loss.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "worker/model/layer_gradients.h"

namespace navit {
namespace {

using Named = std::vector<std::pair<std::string, double>>;

std::string List(const Named& values) {
  return absl::StrJoin(values, ", ", [](std::string* out, const auto& value) {
    absl::StrAppendFormat(out, "%s %.2g", value.first, value.second);
  });
}

std::string Largest(const Named& values) {
  if (values.empty()) return "none";
  const auto largest =
      std::max_element(values.begin(), values.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  return absl::StrFormat("%.2g (%s)", largest->second, largest->first);
}

}  // namespace

bool StuckLoss::Observe(double loss, int64_t examples) {
  if (examples < 2) return false;
  const double chance = std::log(static_cast<double>(examples));
  // Written so that a NaN is not within the tolerance.
  const bool near = std::abs(loss - chance) <= kTolerance * chance;
  steps_ = near ? steps_ + 1 : 0;
  if (steps_ < kSteps) return false;
  steps_ = 0;
  return true;
}

StuckLossText DescribeStuckLoss(uint64_t step, const StepGradients& step_gradients,
                                const StepDiagnosis& diagnosis, const ParameterTable& table,
                                const float* gradients) {
  const Named norms = LayerGradientNorms(table, gradients);
  StuckLossText text;
  text.summary = absl::StrFormat(
      "step %d: the loss has stayed within %.0f %% of ln N for %d steps (%.4f, N %d): the towers "
      "do "
      "not tell one pair from another. Embedding spread %.2g (images) and %.2g (texts) of 1, "
      "largest attention logit %s, largest gradient norm %s, logit scale %.3g. A lower learning "
      "rate or a longer warm-up helps most often",
      step, 100 * StuckLoss::kTolerance, StuckLoss::kSteps, step_gradients.loss,
      step_gradients.valid_examples, diagnosis.image_spread, diagnosis.text_spread,
      Largest(diagnosis.attention_logits), Largest(norms), step_gradients.logit_scale);
  text.details = absl::StrCat("largest attention logits: ", List(diagnosis.attention_logits),
                              "; gradient norms: ", List(norms));
  return text;
}

}  // namespace navit
