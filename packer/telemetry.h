// The packer's metrics as its heartbeats carry them.
#ifndef NAVIT_PACKER_TELEMETRY_H_
#define NAVIT_PACKER_TELEMETRY_H_

#include <prometheus/metric_family.h>

#include <vector>

#include "proto/telemetry.pb.h"

namespace navit {

// Heartbeats stay small: more jobs than these are not told of.
inline constexpr int kMaxTelemetryJobs = 16;

// From what PackerMetrics exports (the families of its registry), so that the page and /metrics
// never differ.
v1::PackerTelemetry PackerTelemetryOf(const std::vector<prometheus::MetricFamily>& families);

}  // namespace navit

#endif  // NAVIT_PACKER_TELEMETRY_H_
