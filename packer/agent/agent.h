// A packer process: takes work from the coordinator, plans windows, makes the packs it is granted
// and pushes them.
//
// Life of a pack here:
//   1. A work thread leases a window (Fleet.LeaseWork), plans it and reports the plan (FinishWork);
//      the lease is kept, and named in every report.
//   2. The Push stream brings grants (PackQueue).
//   3. Make threads make them, first granted first, as long as the queue's bytes allow.
//   4. The Push thread sends them in the order of the grants, or, with direct delivery, keeps them
//      for trainers to fetch (PackStore, packs_service.h) and sends where they are.
//   5. `released` on the stream, or silence for the lease's TTL, ends the lease and drops the plan.
// Data that cannot be read is repeated with backoff, then fails the lease by its name: FinishWork
// with a failure, also when the plan was reported before.
#ifndef NAVIT_PACKER_AGENT_AGENT_H_
#define NAVIT_PACKER_AGENT_AGENT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/backoff.h"
#include "common/clock.h"
#include "common/grpc_channel.h"
#include "packer/agent/data_plane.h"
#include "packer/agent/pack_store.h"
#include "packer/agent/work_runner.h"
#include "packer/metrics.h"

namespace navit {

struct AgentOptions {
  // "host:port".
  std::string coordinator;
  ChannelOptions channel;
  std::string name;
  uint64_t incarnation = 0;
  std::string host;
  std::string http_address;
  // Where trainers can fetch packs from `store`; empty: they cannot. `store` outlives the agent.
  std::string packs_address;
  PackStore* store = nullptr;
  // Threads that make packs, and as many that plan and index.
  int threads = 1;
  // Made packs that wait for the stream.
  uint64_t max_queued_bytes = uint64_t{256} << 20;
  // How long one LeaseWork waits. A lease's TTL runs from before the request, so the agent asks for
  // at most a quarter of the smallest TTL of the jobs it knows.
  absl::Duration lease_wait = absl::Seconds(1);
  absl::Duration call_timeout = absl::Seconds(10);
  // How long the coordinator may be away.
  absl::Duration grace = absl::Seconds(600);
  BackoffOptions backoff;
  DataRetryOptions data_retry;
  Clock* clock = Clock::Real();
};

class PackerAgent {
 public:
  // Starts at once. `data` and `metrics` must outlive the agent. `on_ended` is called at most once,
  // from a thread of the agent, when the session ended by itself: see
  // WorkerSessionDelegate::OnEnded.
  static absl::StatusOr<std::unique_ptr<PackerAgent>> Start(
      AgentOptions options, DataPlane* data, PackerMetrics* metrics,
      std::function<void(const absl::Status&)> on_ended);
  // Stops at once, without draining.
  ~PackerAgent();

  // Tells the coordinator, takes nothing new, finishes work and packs in hand and sends them, for
  // at most `timeout`; then stops. Leases end with it. True: nothing was left undone.
  bool Drain(absl::Duration timeout);

 private:
  class Impl;
  explicit PackerAgent(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace navit

#endif  // NAVIT_PACKER_AGENT_AGENT_H_
