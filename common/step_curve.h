// The curve of a job in a bounded number of points.
#ifndef NAVIT_COMMON_STEP_CURVE_H_
#define NAVIT_COMMON_STEP_CURVE_H_

#include <cstddef>
#include <vector>

#include "proto/fleet.pb.h"
#include "proto/telemetry.pb.h"

namespace navit {

// Useful tokens of both towers.
inline double UsefulTokens(const v1::StepReport& step) {
  return static_cast<double>(step.image_tokens()) + static_cast<double>(step.text_tokens());
}

// `steps` in their order, cut into at most `points` runs of equal length (to one step), a point
// each. Requires points > 0. A run without a finite loss has NaN there; rates of steps that say
// that they took no time are 0.
v1::Curve StepCurve(const std::vector<v1::StepReport>& steps, size_t points);

}  // namespace navit

#endif  // NAVIT_COMMON_STEP_CURVE_H_
