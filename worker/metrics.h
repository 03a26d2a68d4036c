// What a trainer exports at /metrics (every name, type and help text stands in metrics.cc), and the
// clock of its phases.
#ifndef NAVIT_WORKER_METRICS_H_
#define NAVIT_WORKER_METRICS_H_

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "proto/fleet.pb.h"
#include "worker/communicator.h"

namespace navit {

// Thread-safe. Series of a rank appear with SetRun and stay until the next job takes their place.
class TrainerMetrics {
 public:
  TrainerMetrics();

  std::shared_ptr<prometheus::Registry> registry() const { return registry_; }

  // Labels of all that follows. `peak_flops`: of this rank's device, per second; none: unknown, and
  // not exported.
  void SetRun(const std::string& job, uint32_t rank, uint32_t world_size,
              std::optional<double> peak_flops);

  void AddPhase(const std::string& phase, absl::Duration duration);
  void AddTime(const std::string& kind, absl::Duration duration);
  // `packs`: this rank's share of the step; `applied` false: the step was lost with its generation.
  void StepApplied(absl::Duration duration, uint64_t examples, uint64_t image_tokens,
                   uint64_t text_tokens, double useful_flops);
  void StepDiscarded(const std::string& reason);
  void NonFinite();
  void LossStuck();
  void SetModelParameters(size_t parameters);
  void SetLag(absl::Duration lag);
  // What waits for later steps, and the bytes of it that may.
  void SetPrefetch(size_t packs, uint64_t bytes, uint64_t cap_bytes);
  void SetDeviceMemory(size_t used_bytes, size_t total_bytes);
  // Totals of the communicator so far.
  void SetTraffic(const CollectiveTraffic& traffic);
  void RunStarted(absl::Duration recovery);
  void RunEnded(const std::string& reason);
  void CheckpointPhase(const std::string& phase, absl::Duration duration);
  void CheckpointWritten(uint64_t bytes, absl::Time now);
  void CheckpointFailed(const std::string& reason);

  // What the series of the current job and rank say now; see worker/telemetry.h.
  v1::TrainerTelemetry Telemetry() const;

 private:
  std::map<std::string, std::string> Labels() const;
  std::map<std::string, std::string> Labels(const std::string& key, const std::string& value) const;

  const std::shared_ptr<prometheus::Registry> registry_;
  prometheus::Family<prometheus::Counter>& steps_;
  prometheus::Family<prometheus::Counter>& discarded_;
  prometheus::Family<prometheus::Counter>& examples_;
  prometheus::Family<prometheus::Counter>& tokens_;
  prometheus::Family<prometheus::Gauge>& prefetch_packs_;
  prometheus::Family<prometheus::Gauge>& prefetch_bytes_;
  prometheus::Family<prometheus::Gauge>& prefetch_cap_bytes_;
  prometheus::Family<prometheus::Histogram>& step_duration_;
  prometheus::Family<prometheus::Counter>& phases_;
  prometheus::Family<prometheus::Counter>& comm_bytes_;
  prometheus::Family<prometheus::Counter>& flops_;
  prometheus::Family<prometheus::Counter>& nonfinite_;
  prometheus::Family<prometheus::Counter>& loss_stuck_;
  prometheus::Family<prometheus::Gauge>& parameters_;
  prometheus::Family<prometheus::Gauge>& lag_;
  prometheus::Family<prometheus::Gauge>& peak_flops_;
  prometheus::Family<prometheus::Gauge>& device_memory_;
  prometheus::Family<prometheus::Counter>& time_;
  prometheus::Family<prometheus::Gauge>& world_size_;
  prometheus::Family<prometheus::Counter>& reconfigurations_;
  prometheus::Family<prometheus::Histogram>& recovery_duration_;
  prometheus::Family<prometheus::Histogram>& checkpoint_duration_;
  prometheus::Family<prometheus::Gauge>& checkpoint_bytes_;
  prometheus::Family<prometheus::Counter>& checkpoint_failures_;
  prometheus::Family<prometheus::Gauge>& checkpoint_success_;

  mutable std::mutex mutex_;
  std::string job_;
  std::string rank_ = "0";
  CollectiveTraffic traffic_;
};

// Which phase the trainer is in and since when: told in heartbeats, summed in metrics. Every moment
// from construction on is counted in exactly one phase, the current one included. Thread-safe.
class PhaseClock {
 public:
  explicit PhaseClock(TrainerMetrics* metrics);

  // The phase before ends and is counted under its name of METRICS ("copy" has no phase of its own:
  // pass `label`).
  void Enter(v1::Phase phase, uint64_t step, const char* label = nullptr);
  // Counts the current phase so far. Of a RUNNING state, fills in step, phase and seconds_in_phase.
  void Fill(v1::TrainerState* state);
  // Time since the last call in phases that wait for no other rank: copy, forward, backward.
  absl::Duration TakeOwnWork();

 private:
  static absl::Duration Now();
  // Requires mutex_.
  void Count();

  TrainerMetrics* const metrics_;
  std::mutex mutex_;
  v1::Phase phase_ = v1::PHASE_IDLE;
  uint64_t step_ = 0;
  std::string label_;
  absl::Duration since_;
  // Up to here all time is in the metrics.
  absl::Duration counted_;
  absl::Duration own_work_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_METRICS_H_
