// Collective operations between processes, on Gloo's TCP transport.
//
// Gloo brings the ranks together (one TCP connection per pair of ranks; one event loop per rank, or
// per pair where its ports are fixed) and moves blocks of memory; the algorithms here are rings over
// its unbound buffers, because only those can be aborted at once from another thread, take a
// deadline per operation, and let ranks have unequal counts. In a ring every block is summed along a
// fixed chain of ranks and its one result is passed on, so that all ranks get the same bits, in
// every run of the same world size.
//
// Failures: a dead neighbour is seen at once (its connection closes). A rank that fails closes all
// of its own connections, so the failure reaches every rank within a few hops and not at the
// deadline.
#ifndef NAVIT_WORKER_GLOO_COLLECTIVE_H_
#define NAVIT_WORKER_GLOO_COLLECTIVE_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "worker/communicator.h"
#include "worker/port_range.h"

namespace navit {

struct GlooOptions {
  int rank = 0;
  int world_size = 1;
  // Address or name of this host, under which the other ranks reach it.
  std::string host = "127.0.0.1";
  // Where this rank listens for the others: needs a port for each other rank.
  PortRange ports = {};
  // Of one operation, and of Connect.
  absl::Duration timeout = absl::Seconds(30);
};

class GlooCollective : public Communicator {
 public:
  explicit GlooCollective(const GlooOptions& options);
  // A communicator that never failed closes its connections in order: what was sent arrives.
  ~GlooCollective() override;

  // Publishes this rank's addresses, waits for the others', connects to all of them. A world of one
  // rank connects to nobody and does not use the store. InvalidArgument: host cannot be used;
  // ResourceExhausted: no free port in the range.
  absl::Status Connect(RendezvousStore* store) override;

  int rank() const override;
  int world_size() const override;
  // Aborted after Abort; DeadlineExceeded names the rank that was waited for; Unavailable: a rank
  // is gone. FailedPrecondition: counts do not fit the buffers.
  absl::Status AllReduceSum(absl::Span<float> values) override;
  absl::Status AllReduceSum(absl::Span<double> values) override;
  absl::Status AllReduceMax(absl::Span<float> values) override;
  absl::Status AllGather(absl::Span<const float> mine, absl::Span<const size_t> counts,
                         absl::Span<float> all) override;
  absl::Status AllGather(absl::Span<const uint64_t> mine, absl::Span<const size_t> counts,
                         absl::Span<uint64_t> all) override;
  absl::Status ReduceScatter(absl::Span<const float> partial, absl::Span<const size_t> counts,
                             absl::Span<float> mine) override;
  absl::Status Broadcast(absl::Span<char> bytes, int root) override;
  void Abort() override;

  CollectiveTraffic traffic() const override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_GLOO_COLLECTIVE_H_
