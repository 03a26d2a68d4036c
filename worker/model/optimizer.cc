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

std::vector<UpdateRange> UpdateRanges(const ParameterTable& table,
                                      const OptimizerOptions& options) {
  const absl::Span<const ParameterInfo> entries = table.entries();
  std::vector<UpdateRange> ranges;
  for (size_t i = 0; i < entries.size(); ++i) {
    const TensorRule rule =
        options.rules.empty()
            ? TensorRule{.weight_decay = entries[i].decay ? options.weight_decay : 0.0}
            : options.rules[i];
    const size_t end = i + 1 < entries.size() ? entries[i + 1].offset : table.total_size();
    if (!ranges.empty() && ranges.back().rule == rule) {
      ranges.back().end = end;
    } else {
      ranges.push_back({entries[i].offset, end, rule});
    }
  }
  return ranges;
}

UpdateResult ApplyUpdate(const ParameterTable& table, const OptimizerOptions& options,
                         double learning_rate, ModelState* state, kernels::ThreadPool& pool) {
  float* parameters = state->parameters.data();
  const ParameterInfo* logit_scale = table.FindOrNull("loss.logit_scale");
  UpdateResult result;
  result.learning_rate = learning_rate;
  if (logit_scale != nullptr) result.logit_scale = std::exp(parameters[logit_scale->offset]);
  const std::vector<UpdateRange> ranges = UpdateRanges(table, options);
  for (const UpdateRange& range : ranges) {
    if (!range.rule.frozen) continue;
    std::fill_n(state->gradients.data() + range.begin, range.end - range.begin, 0.0f);
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
  // Gaps stay zero under AdamW.
  for (const UpdateRange& range : ranges) {
    if (range.rule.frozen) continue;
    kernels::AdamW({.count = static_cast<int64_t>(range.end - range.begin),
                    .param = parameters + range.begin,
                    .grad = state->gradients.data() + range.begin,
                    .m = state->first_moment.data() + range.begin,
                    .v = state->second_moment.data() + range.begin,
                    .step = static_cast<int64_t>(state->updates),
                    .lr = learning_rate * range.rule.lr_scale,
                    .beta1 = options.beta1,
                    .beta2 = options.beta2,
                    .eps = options.eps,
                    .weight_decay = range.rule.weight_decay,
                    .grad_scale = scale},
                   pool);
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
