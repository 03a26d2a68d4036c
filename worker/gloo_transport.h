// One rank's Gloo connections, without exceptions: the part of gloo_collective that knows Gloo.
#ifndef NAVIT_WORKER_GLOO_TRANSPORT_H_
#define NAVIT_WORKER_GLOO_TRANSPORT_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "worker/gloo_collective.h"
#include "worker/rendezvous_store.h"

namespace gloo::transport {
class Context;
class UnboundBuffer;
}  // namespace gloo::transport

namespace navit {

class GlooTransport {
 public:
  explicit GlooTransport(const GlooOptions& options);
  ~GlooTransport();

  absl::Status Connect(RendezvousStore* store);

  // Every operation starts here: a new tag, the same on all ranks as all call the same operations
  // in the same order, and a new deadline.
  absl::Status StartOperation();

  // Sends `send_bytes` to one rank while it receives `receive_bytes` from another; either may be 0,
  // and is then skipped on both sides. The first failure breaks the transport: every connection
  // closes, and all later calls return the same status.
  absl::Status Exchange(int to, const void* send, size_t send_bytes, int from, void* receive,
                        size_t receive_bytes);

  // Thread-safe. Returns once no call of this rank waits any longer.
  void Abort();

 private:
  absl::Status ConnectAll(RendezvousStore* store);
  absl::Status Transfer(int to, const void* send, size_t send_bytes, int from, void* receive,
                        size_t receive_bytes);
  // Makes `status` final, unless there is one already, closes all connections, returns what is
  // final.
  absl::Status Break(const absl::Status& status);
  void CloseConnections();
  int64_t RemainingMilliseconds() const;

  const GlooOptions options_;

  // Of the thread that operates.
  uint64_t tag_ = 0;
  int64_t deadline_ns_ = 0;

  absl::Mutex mutex_;
  // By rank; empty before Connect. The own place is null.
  std::vector<std::shared_ptr<gloo::transport::Context>> contexts_ ABSL_GUARDED_BY(mutex_);
  absl::Status broken_ ABSL_GUARDED_BY(mutex_);
  // What Abort has to wake.
  gloo::transport::UnboundBuffer* sending_ ABSL_GUARDED_BY(mutex_) = nullptr;
  gloo::transport::UnboundBuffer* receiving_ ABSL_GUARDED_BY(mutex_) = nullptr;
};

}  // namespace navit

#endif  // NAVIT_WORKER_GLOO_TRANSPORT_H_
