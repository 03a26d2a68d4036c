#include "worker/telemetry.h"

#include <cstdint>

#include "absl/strings/numbers.h"

namespace navit {
namespace {

std::string LabelOf(const prometheus::ClientMetric& metric, const char* name) {
  for (const prometheus::ClientMetric::Label& label : metric.label) {
    if (label.name == name) return label.value;
  }
  return "";
}

}  // namespace

v1::TrainerTelemetry TrainerTelemetryOf(const std::vector<prometheus::MetricFamily>& families,
                                        const std::string& job, const std::string& rank) {
  v1::TrainerTelemetry telemetry;
  telemetry.set_job(job);
  uint32_t number = 0;
  if (absl::SimpleAtoi(rank, &number)) telemetry.set_rank(number);
  for (const prometheus::MetricFamily& family : families) {
    for (const prometheus::ClientMetric& metric : family.metric) {
      if (LabelOf(metric, "navit_job") != job || LabelOf(metric, "rank") != rank) continue;
      const double count = metric.counter.value;
      if (family.name == "navit_steps_committed_total") {
        telemetry.set_steps(static_cast<uint64_t>(count));
      } else if (family.name == "navit_step_phase_seconds_total") {
        v1::NamedSeconds* phase = telemetry.add_phases();
        phase->set_name(LabelOf(metric, "phase"));
        phase->set_seconds(count);
      } else if (family.name == "navit_model_flops_total") {
        telemetry.set_useful_flops(count);
      } else if (family.name == "navit_device_peak_flops_per_second") {
        telemetry.set_peak_flops(metric.gauge.value);
      } else if (family.name == "navit_rank_step_lag_seconds") {
        telemetry.set_lag_seconds(metric.gauge.value);
      } else if (family.name == "navit_comm_bytes_total") {
        telemetry.set_comm_bytes(telemetry.comm_bytes() + static_cast<uint64_t>(count));
      } else if (family.name == "navit_trainer_prefetch_packs") {
        telemetry.set_prefetch_packs(static_cast<uint32_t>(metric.gauge.value));
      }
    }
  }
  return telemetry;
}

}  // namespace navit
