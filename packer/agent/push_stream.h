// One Batches.Push stream from opening to end: grants in, packs out.
#ifndef NAVIT_PACKER_AGENT_PUSH_STREAM_H_
#define NAVIT_PACKER_AGENT_PUSH_STREAM_H_

#include <grpcpp/support/byte_buffer.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/clock.h"
#include "packer/agent/pack_queue.h"
#include "packer/agent/pack_store.h"
#include "packer/metrics.h"
#include "proto/batches.pb.h"

namespace grpc {
class Channel;
class ClientContext;
}  // namespace grpc

namespace navit {

class PushClient {
 public:
  // `packs_address`: where trainers can fetch what is in `store`; empty: they cannot. `released` is
  // called with each lease that the coordinator ends. Arguments must outlive the client.
  PushClient(std::shared_ptr<grpc::Channel> channel, v1::WorkerId worker, std::string packs_address,
             PackQueue* queue, PackStore* store, PackerMetrics* metrics, const Clock* clock,
             std::function<void(uint64_t lease_epoch)> released);

  // Opens a stream and serves it until it breaks (its status), Cancel (CANCELLED), or the queue is
  // closed (OK: everything written has arrived). Call from one thread.
  absl::Status Run();
  // Thread-safe; ends a running stream and every later one.
  void Cancel();

 private:
  // The payloads are moved into it, or into the store where it may keep them and has room.
  grpc::ByteBuffer MessageOf(std::vector<PackQueue::Sendable>* packs);
  // A message of `packs` took so long to write.
  void CountSeconds(absl::Span<const PackQueue::Sendable> packs, absl::Duration spent);

  const std::shared_ptr<grpc::Channel> channel_;
  const v1::WorkerId worker_;
  const std::string packs_address_;
  PackQueue* const queue_;
  PackStore* const store_;
  PackerMetrics* const metrics_;
  const Clock* const clock_;
  const std::function<void(uint64_t)> released_;

  absl::Mutex mutex_;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  grpc::ClientContext* context_ ABSL_GUARDED_BY(mutex_) = nullptr;
};

}  // namespace navit

#endif  // NAVIT_PACKER_AGENT_PUSH_STREAM_H_
