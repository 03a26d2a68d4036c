// What the coordinator exports (METRICS: Coordinator); the only place that names these series.
#ifndef NAVIT_SERVER_METRICS_H_
#define NAVIT_SERVER_METRICS_H_

#include <prometheus/collectable.h>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "server/host.h"

namespace navit {

// Series that are counted as things happen. Thread-safe.
class ServerMetrics {
 public:
  ServerMetrics();

  void ObserveCommit(absl::Duration took) { commit_->Observe(absl::ToDoubleSeconds(took)); }
  void AddRelayBytesIn(uint64_t bytes) { relay_in_->Increment(static_cast<double>(bytes)); }
  void AddRelayBytesOut(uint64_t bytes) { relay_out_->Increment(static_cast<double>(bytes)); }
  void SetRecovery(absl::Duration took) { recovery_->Set(absl::ToDoubleSeconds(took)); }
  // This process leads from now on, or does not.
  void SetLeader(bool leads) { is_leader_->Set(leads ? 1 : 0); }
  // This process saw that another one leads, or won.
  void LeaderChanged() { leader_transitions_->Increment(); }
  // The store refused a write because another coordinator leads.
  void StoreWriteRefused() { ++store_writes_refused_; }
  uint64_t store_writes_refused() const { return store_writes_refused_; }
  // `method`: "Jobs.Submit"; from a fixed set.
  void RpcBegan(const std::string& method);
  // `code`: number of the gRPC status code.
  void RpcEnded(const std::string& method, int code, absl::Duration took);

  const std::shared_ptr<prometheus::Registry>& registry() const { return registry_; }

 private:
  const std::shared_ptr<prometheus::Registry> registry_;
  prometheus::Family<prometheus::Histogram>* rpc_duration_;
  prometheus::Family<prometheus::Gauge>* rpc_in_flight_;
  prometheus::Histogram* commit_;
  prometheus::Counter* relay_in_;
  prometheus::Counter* relay_out_;
  prometheus::Gauge* recovery_;
  prometheus::Gauge* is_leader_;
  prometheus::Counter* leader_transitions_;
  std::atomic<uint64_t> store_writes_refused_{0};
};

// Everything: the counted series, and those read from core at each scrape. Series of a job go 15
// minutes after it finished.
class CoordinatorMetrics : public prometheus::Collectable {
 public:
  // Both must outlive this.
  CoordinatorMetrics(CoordinatorHost* host, const ServerMetrics* counted)
      : host_(host), counted_(counted) {}
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  CoordinatorHost* const host_;
  const ServerMetrics* const counted_;
};

// Of a coordinator that stands by: the counted series alone.
class StandbyMetrics : public prometheus::Collectable {
 public:
  // `counted` must outlive this.
  explicit StandbyMetrics(const ServerMetrics* counted) : counted_(counted) {}
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const ServerMetrics* const counted_;
};

}  // namespace navit

#endif  // NAVIT_SERVER_METRICS_H_
