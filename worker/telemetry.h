// The trainer's metrics as its heartbeats carry them.
#ifndef NAVIT_WORKER_TELEMETRY_H_
#define NAVIT_WORKER_TELEMETRY_H_

#include <prometheus/metric_family.h>

#include <string>
#include <vector>

#include "proto/telemetry.pb.h"

namespace navit {

// The series of `job` and `rank` among what TrainerMetrics exports (the families of its registry).
v1::TrainerTelemetry TrainerTelemetryOf(const std::vector<prometheus::MetricFamily>& families,
                                        const std::string& job, const std::string& rank);

}  // namespace navit

#endif  // NAVIT_WORKER_TELEMETRY_H_
