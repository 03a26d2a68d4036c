#include "worker/model/optimizer.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/adamw.h"

namespace navit {

OptimizerOptions ResolveOptimizerOptions(const v1::OptimizerSpec& optimizer,
                                         const v1::ScheduleSpec& schedule) {
  OptimizerOptions options;
  options.lr = optimizer.lr();
  if (optimizer.betas_size() == 2) {
    options.beta1 = optimizer.betas(0);
    options.beta2 = optimizer.betas(1);
  }
  options.eps = optimizer.eps();
  options.weight_decay = optimizer.weight_decay();
  options.clip_norm = optimizer.clip_norm();
  options.cosine = schedule.kind() != v1::ScheduleSpec::CONSTANT;
  options.warmup_fraction = schedule.warmup_fraction();
  return options;
}

double LearningRate(const OptimizerOptions& options, double progress) {
  progress = std::clamp(progress, 0.0, 1.0);
  const double warmup = options.warmup_fraction;
  if (progress < warmup) return options.lr * progress / warmup;
  if (!options.cosine) return options.lr;
  const double rest = warmup < 1 ? (progress - warmup) / (1 - warmup) : 0;
  return options.lr * 0.5 * (1 + std::cos(std::numbers::pi * rest));
}

UpdateResult ApplyUpdate(const ParameterTable& table, const OptimizerOptions& options,
                         double learning_rate, ModelState* state, kernels::ThreadPool& pool) {
  float* parameters = state->parameters.data();
  float& logit_scale = parameters[table.Find("loss.logit_scale").offset];
  UpdateResult result;
  result.learning_rate = learning_rate;
  result.logit_scale = std::exp(logit_scale);
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
  // Neighbours of one group are updated together; gaps stay zero under AdamW.
  const absl::Span<const ParameterInfo> entries = table.entries();
  for (size_t first = 0; first < entries.size();) {
    size_t last = first + 1;
    while (last < entries.size() && entries[last].decay == entries[first].decay) ++last;
    const size_t begin = entries[first].offset;
    const size_t end = last < entries.size() ? entries[last].offset : table.total_size();
    kernels::AdamW({.count = static_cast<int64_t>(end - begin),
                    .param = parameters + begin,
                    .grad = state->gradients.data() + begin,
                    .m = state->first_moment.data() + begin,
                    .v = state->second_moment.data() + begin,
                    .step = static_cast<int64_t>(state->updates),
                    .lr = learning_rate,
                    .beta1 = options.beta1,
                    .beta2 = options.beta2,
                    .eps = options.eps,
                    .weight_decay = entries[first].decay ? options.weight_decay : 0.0,
                    .grad_scale = scale},
                   pool);
    first = last;
  }
  logit_scale = std::min(logit_scale, kLargestLogitScale);
  result.logit_scale = std::exp(logit_scale);
  return result;
}

}  // namespace navit
