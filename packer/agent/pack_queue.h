// Granted packs between the Push stream and the threads that make them: made in parallel, bounded
// in bytes, sent in the order in which they were granted.
//
//   grant → waiting → making → made → sending → gone
//
// Grants belong to one stream. When it ends the queue is emptied: the coordinator grants anew on
// the next stream, and a pack that is still being made for the old one is thrown away.
#ifndef NAVIT_PACKER_AGENT_PACK_QUEUE_H_
#define NAVIT_PACKER_AGENT_PACK_QUEUE_H_

#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/clock.h"
#include "proto/pack.pb.h"

namespace navit {

// Thread-safe.
class PackQueue {
 public:
  // Made packs that wait for the stream take at most about `max_bytes` (packs being made count with
  // the largest size seen); the first pack of the queue is made whatever it takes.
  // `clock` must outlive the queue. `on_made_bytes`, for metrics, hears how many bytes are made and
  // not sent after each change; it must not call the queue.
  PackQueue(uint64_t max_bytes, const Clock* clock,
            std::function<void(uint64_t)> on_made_bytes = {})
      : max_bytes_(max_bytes), clock_(clock), on_made_bytes_(std::move(on_made_bytes)) {}

  struct Task {
    // Names this grant, for Made and Abandon.
    uint64_t ticket;
    uint64_t lease_epoch;
    uint32_t index;
    // How long there was a pack to make but no room for it, so that the thread had to wait for the
    // stream.
    absl::Duration blocked;
  };

  // A stream opened; ends the one before it. Returns its number, > 0.
  uint64_t OpenStream();
  // No effect unless `stream` is the open one.
  void EndStream(uint64_t stream);
  // Adds packs at the end; those that the queue holds already are skipped. Grants of a stream that
  // is not the open one, and all grants while draining, are dropped. `direct` comes back with them.
  void Grant(uint64_t stream, uint64_t lease_epoch, absl::Span<const uint32_t> indexes,
             bool direct);
  // The lease ended: its packs are no longer wanted.
  void DropLease(uint64_t lease_epoch);

  struct Waiting {
    uint64_t lease_epoch;
    uint32_t index;
  };
  // The next packs to make, at most `most`, in their order.
  std::vector<Waiting> NextToMake(size_t most) const;

  // Makers. Blocks until there is a pack to make and room for it; nothing after Close.
  std::optional<Task> TakeToMake();
  // `frame` is thrown away when the grant has gone meanwhile.
  void Made(uint64_t ticket, v1::Frame frame);
  void Abandon(uint64_t ticket);

  struct Sendable {
    uint64_t ticket;
    bool direct;
    v1::Frame frame;
  };
  // Sender. Blocks until the first pack of the queue is made; then that one and those behind it
  // that are made as well, with payloads of `most_bytes` in all or the first one alone. Empty once
  // `stream` is not the open one, or after Close.
  std::vector<Sendable> TakeToSend(uint64_t stream, uint64_t most_bytes);
  // The frames that TakeToSend gave were written.
  void Sent(absl::Span<const Sendable> packs);

  // Takes no further grants.
  void Drain();
  bool empty() const;
  // Ends every waiting call.
  void Close();

 private:
  enum class State { kWaiting, kMaking, kMade, kSending };
  struct Entry {
    uint64_t ticket;
    uint64_t lease_epoch;
    uint32_t index;
    bool direct;
    State state;
    uint64_t bytes;
    v1::Frame frame;
  };
  using Entries = std::list<Entry>;

  Entries::iterator Find(uint64_t ticket) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Erase(Entries::iterator entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Entries::iterator FirstWaiting() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool HasRoom(Entries::iterator entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SetMadeBytes(uint64_t bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const uint64_t max_bytes_;
  const Clock* const clock_;
  const std::function<void(uint64_t)> on_made_bytes_;
  mutable absl::Mutex mutex_;
  absl::CondVar changed_;
  Entries entries_ ABSL_GUARDED_BY(mutex_);
  uint64_t made_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  // Packs being made, those of grants that have gone included.
  uint64_t making_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t largest_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t next_ticket_ ABSL_GUARDED_BY(mutex_) = 1;
  uint64_t stream_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stream_open_ ABSL_GUARDED_BY(mutex_) = false;
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace navit

#endif  // NAVIT_PACKER_AGENT_PACK_QUEUE_H_
