#include "common/step_curve.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace navit {
namespace {

void AddPoint(const v1::StepReport* first, const v1::StepReport* last, v1::Curve* curve) {
  double loss = 0, low = std::numeric_limits<double>::infinity(), high = -low, norm = 0;
  double seconds = 0, tokens = 0, examples = 0, image_tokens = 0, capacity = 0;
  size_t losses = 0, norms = 0;
  for (const v1::StepReport* step = first; step != last; ++step) {
    if (std::isfinite(step->loss())) {
      loss += step->loss();
      low = std::min<double>(low, step->loss());
      high = std::max<double>(high, step->loss());
      ++losses;
    }
    if (std::isfinite(step->grad_norm())) {
      norm += step->grad_norm();
      ++norms;
    }
    seconds += step->seconds();
    tokens += UsefulTokens(*step);
    examples += static_cast<double>(step->valid_examples());
    image_tokens += static_cast<double>(step->image_tokens());
    capacity += static_cast<double>(step->capacity_tokens());
  }
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const v1::StepReport& newest = *(last - 1);
  curve->add_step(newest.step());
  curve->add_loss(losses > 0 ? loss / static_cast<double>(losses) : nan);
  curve->add_loss_min(losses > 0 ? low : nan);
  curve->add_loss_max(losses > 0 ? high : nan);
  curve->add_grad_norm(norms > 0 ? norm / static_cast<double>(norms) : nan);
  curve->add_learning_rate(newest.learning_rate());
  curve->add_logit_scale(newest.logit_scale());
  curve->add_step_seconds(seconds / static_cast<double>(last - first));
  curve->add_tokens_per_second(seconds > 0 ? tokens / seconds : 0);
  curve->add_examples_per_second(seconds > 0 ? examples / seconds : 0);
  curve->add_fill(capacity > 0 ? image_tokens / capacity : 0);
}

}  // namespace

v1::Curve StepCurve(const std::vector<v1::StepReport>& steps, size_t points) {
  v1::Curve curve;
  const size_t runs = std::min(points, steps.size());
  for (size_t run = 0; run < runs; ++run) {
    AddPoint(steps.data() + steps.size() * run / runs,
             steps.data() + steps.size() * (run + 1) / runs, &curve);
  }
  return curve;
}

}  // namespace navit
