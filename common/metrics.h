// What every process exports, and the text form of its registry.
#ifndef NAVIT_COMMON_METRICS_H_
#define NAVIT_COMMON_METRICS_H_

#include <prometheus/collectable.h>
#include <prometheus/registry.h>

#include <memory>
#include <string>
#include <vector>

#include "common/http_server.h"

namespace navit {

// navit_build_info{version,revision,role}, process_cpu_seconds_total,
// process_resident_memory_bytes, process_open_fds, process_start_time_seconds; read from /proc at
// each Collect.
class ProcessMetrics : public prometheus::Collectable {
 public:
  explicit ProcessMetrics(std::string role) : role_(std::move(role)) {}
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const std::string role_;
};

// Text exposition format, version 0.0.4; families in the order of `sources`.
std::string MetricsText(const std::vector<std::shared_ptr<prometheus::Collectable>>& sources);

// The /metrics route: ProcessMetrics and `registry`.
//
//   HttpServer::Start(address, {{"/metrics", MetricsRoute("packer", registry)}});
HttpHandler MetricsRoute(const std::string& role,
                         std::shared_ptr<prometheus::Collectable> registry);

}  // namespace navit

#endif  // NAVIT_COMMON_METRICS_H_
