// A Collective between processes, as a generation makes it: the ranks meet, then call. On CPUs by
// Gloo, on GPUs by NCCL.
#ifndef NAVIT_WORKER_COMMUNICATOR_H_
#define NAVIT_WORKER_COMMUNICATOR_H_

#include <cstdint>

#include "absl/status/status.h"
#include "worker/collective.h"
#include "worker/rendezvous_store.h"

namespace navit {

// Bytes that this rank sent and received, by operation, for metrics.
struct CollectiveTraffic {
  uint64_t all_reduce_bytes = 0;
  uint64_t all_gather_bytes = 0;
  uint64_t reduce_scatter_bytes = 0;
  uint64_t broadcast_bytes = 0;
};

class Communicator : public Collective {
 public:
  // Call once, before any operation: meets the other ranks through the store, which holds the keys
  // of one generation. Abort may be called meanwhile (cancel the store as well, so that its wait
  // ends). Unavailable, DeadlineExceeded, Aborted; others as the implementation says.
  virtual absl::Status Connect(RendezvousStore* store) = 0;

  // Not while an operation runs.
  virtual CollectiveTraffic traffic() const = 0;
};

}  // namespace navit

#endif  // NAVIT_WORKER_COMMUNICATOR_H_
