#include "worker/model/optimizer.h"

#include <algorithm>
#include <cmath>

#include "common/status_macros.h"
#include "kernels/adamw.h"
#include "kernels/ema.h"

namespace navit {

absl::StatusOr<OptimizerOptions> ResolveOptimizerOptions(const v1::OptimizerSpec& optimizer,
                                                         const v1::ScheduleSpec& schedule,
                                                         const ParameterTable& table) {
  OptimizerOptions options;
  options.lr = optimizer.lr();
  if (optimizer.betas_size() == 2) {
    options.beta1 = optimizer.betas(0);
    options.beta2 = optimizer.betas(1);
  }
  options.eps = optimizer.eps();
  options.weight_decay = optimizer.weight_decay();
  options.clip_norm = optimizer.clip_norm();
  options.ema_decay = optimizer.ema_decay();
  options.schedule = ResolveSchedule(schedule);
  NAVIT_ASSIGN_OR_RETURN(options.rules, ResolveTensorRules(table, optimizer));
  return options;
}

UpdateResult ApplyUpdate(const ParameterTable& table, const OptimizerOptions& options,
                         double learning_rate, ModelState* state, kernels::ThreadPool& pool) {
  float* parameters = state->parameters.data();
  const ParameterInfo* logit_scale = table.FindOrNull("loss.logit_scale");
  UpdateResult result;
  result.learning_rate = learning_rate;
  if (logit_scale != nullptr) result.logit_scale = std::exp(parameters[logit_scale->offset]);
  const absl::Span<const ParameterInfo> entries = table.entries();
  const auto rule_of = [&](size_t i) {
    if (!options.rules.empty()) return options.rules[i];
    return TensorRule{.weight_decay = entries[i].decay ? options.weight_decay : 0.0};
  };
  for (size_t i = 0; i < entries.size(); ++i) {
    if (!rule_of(i).frozen) continue;
    std::fill_n(state->gradients.data() + entries[i].offset, entries[i].size, 0.0f);
  }
  // Gaps between tensors are zero and add nothing.
  result.gradient_norm = std::sqrt(kernels::SumSquares(
      state->gradients.data(), static_cast<int64_t>(state->gradients.size()), pool));
  if (!std::isfinite(result.gradient_norm)) {
    result.skipped = true;
    return result;
  }
  double scale = 1;
  if (options.clip_norm > 0 && result.gradient_norm > options.clip_norm) {
    scale = options.clip_norm / result.gradient_norm;
  }
  ++state->updates;
  // Neighbours of one rule are updated together; gaps stay zero under AdamW.
  for (size_t first = 0; first < entries.size();) {
    size_t last = first + 1;
    const TensorRule rule = rule_of(first);
    while (last < entries.size() && rule_of(last) == rule) ++last;
    if (rule.frozen) {
      first = last;
      continue;
    }
    const size_t begin = entries[first].offset;
    const size_t end = last < entries.size() ? entries[last].offset : table.total_size();
    kernels::AdamW({.count = static_cast<int64_t>(end - begin),
                    .param = parameters + begin,
                    .grad = state->gradients.data() + begin,
                    .m = state->first_moment.data() + begin,
                    .v = state->second_moment.data() + begin,
                    .step = static_cast<int64_t>(state->updates),
                    .lr = learning_rate * rule.lr_scale,
                    .beta1 = options.beta1,
                    .beta2 = options.beta2,
                    .eps = options.eps,
                    .weight_decay = rule.weight_decay,
                    .grad_scale = scale},
                   pool);
    first = last;
  }
  if (logit_scale != nullptr) {
    float& value = parameters[logit_scale->offset];
    value = std::min(value, kLargestLogitScale);
    result.logit_scale = std::exp(value);
  }
  kernels::Ema({.count = static_cast<int64_t>(state->average.size()),
                .decay = options.ema_decay,
                .value = parameters,
                .average = state->average.data()},
               pool);
  return result;
}

}  // namespace navit
