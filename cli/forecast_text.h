// A packer's forecast of a job, as text for people.
#ifndef NAVIT_CLI_FORECAST_TEXT_H_
#define NAVIT_CLI_FORECAST_TEXT_H_

#include <string>

#include "absl/status/statusor.h"
#include "proto/job_spec.pb.h"
#include "proto/probe.pb.h"

namespace navit {

// Lines "name: value", then histograms, then warnings. InvalidArgument names a field of `model`.
absl::StatusOr<std::string> ForecastText(const v1::JobSpec& spec, const v1::Forecast& forecast);

}  // namespace navit

#endif  // NAVIT_CLI_FORECAST_TEXT_H_
