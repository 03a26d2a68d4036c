#include "worker/model/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace navit {

Schedule ResolveSchedule(const v1::ScheduleSpec& spec) {
  Schedule schedule;
  if (spec.kind() != v1::ScheduleSpec::KIND_UNSPECIFIED) schedule.kind = spec.kind();
  schedule.warmup_fraction = spec.warmup_fraction();
  schedule.warmup_steps = spec.warmup_steps();
  if (spec.has_timescale_fraction()) schedule.timescale_fraction = spec.timescale_fraction();
  schedule.cooldown_fraction = spec.cooldown_fraction();
  return schedule;
}

double ScheduleFactor(const Schedule& schedule, double progress, uint64_t step) {
  progress = std::clamp(progress, 0.0, 1.0);
  double warmup = schedule.warmup_fraction;
  if (schedule.warmup_steps > 0) {
    const double steps = static_cast<double>(schedule.warmup_steps);
    if (step < schedule.warmup_steps) return static_cast<double>(step) / steps;
    warmup = std::min(1.0, progress * steps / static_cast<double>(std::max<uint64_t>(step, 1)));
  } else if (progress < warmup) {
    return progress / warmup;
  }
  if (schedule.kind == v1::ScheduleSpec::COSINE) {
    const double rest = warmup < 1 ? (progress - warmup) / (1 - warmup) : 0;
    return 0.5 * (1 + std::cos(std::numbers::pi * rest));
  }
  double factor = 1;
  if (schedule.kind == v1::ScheduleSpec::RSQRT) {
    factor = 1 / std::sqrt(1 + (progress - warmup) / schedule.timescale_fraction);
  }
  if (schedule.cooldown_fraction > 0) {
    factor *= std::min(1.0, (1 - progress) / schedule.cooldown_fraction);
  }
  return factor;
}

}  // namespace navit
