// What a trainer exports at /metrics; every name, type and help text stands in metrics.cc.
#ifndef NAVIT_WORKER_METRICS_H_
#define NAVIT_WORKER_METRICS_H_

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "proto/telemetry.pb.h"
#include "worker/communicator.h"

namespace navit {

// Thread-safe. Series of a rank appear with SetRun. Those that say what the rank is and holds now
// (its world size, its lag, what it could compute) go when the run ends, so that no sum over ranks
// counts one that is gone; those of what it did stay for 15 minutes more, or go on if it runs
// again.
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
  // Of this rank's GPU: all of it, what is in use by whomever, and what this process's arena holds
  // of it and has given out. In bytes.
  struct DeviceMemory {
    size_t total = 0, used = 0, arena_reserved = 0, arena_used = 0;
  };
  void SetDeviceMemory(const DeviceMemory& memory);
  // Totals of the communicator so far.
  void SetTraffic(const CollectiveTraffic& traffic);
  void RunStarted(absl::Duration recovery);
  // `now` of a steady clock, as in ForgetEnded.
  void RunEnded(const std::string& reason, absl::Duration now);
  // Removes what ended 15 minutes ago. Call it now and then.
  void ForgetEnded(absl::Duration now);
  void CheckpointPhase(const std::string& phase, absl::Duration duration);
  void CheckpointWritten(uint64_t bytes, absl::Time now);
  void CheckpointFailed(const std::string& reason);

  // What the series of the current job and rank say now; see worker/telemetry.h.
  v1::TrainerTelemetry Telemetry() const;

 private:
  using Labels = std::map<std::string, std::string>;
  // How to remove the series of a job's rank, by their address.
  struct RunSeries {
    using Removals = std::map<const void*, std::function<void()>>;
    // Removed when the run ends.
    Removals present;
    Removals kept;
    // Unset while it runs.
    std::optional<absl::Duration> ended_at;
  };

  // The series of the current run with `more` labels beside navit_job and rank, made if it is not
  // there. All require mutex_.
  prometheus::Counter& Count(prometheus::Family<prometheus::Counter>& family,
                             const Labels& more = {});
  prometheus::Gauge& Kept(prometheus::Family<prometheus::Gauge>& family);
  prometheus::Gauge& Present(prometheus::Family<prometheus::Gauge>& family,
                             const Labels& more = {});
  prometheus::Histogram& Times(prometheus::Family<prometheus::Histogram>& family,
                               const Labels& more = {});
  template <typename Metric, typename... Arguments>
  Metric& Find(prometheus::Family<Metric>& family, const Labels& more, bool present,
               const Arguments&... arguments);

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
  // By job and rank.
  std::map<std::pair<std::string, std::string>, RunSeries> series_;
  CollectiveTraffic traffic_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_METRICS_H_
