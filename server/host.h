// The coordinator's core under one mutex, with the bytes of its packs, and the thread that wakes
// what waits for it.
#ifndef NAVIT_SERVER_HOST_H_
#define NAVIT_SERVER_HOST_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "common/wakeup.h"
#include "server/core/coordinator.h"
#include "server/relay/pack_bytes.h"

namespace navit {

// An open call that waits for a change.
class Waiter {
 public:
  virtual ~Waiter() = default;
  // Called on the host's thread after every change of core's state, and every tick: ask core again.
  // Must not block; may use Call, AddWaiter and RemoveWaiter.
  virtual void Poll() = 0;
};

// Thread-safe. Lock order: a waiter's own mutex, then the host's.
class CoordinatorHost {
 public:
  struct Options {
    Clock* clock = Clock::Real();
    absl::Duration tick = absl::Milliseconds(100);
    absl::Duration heartbeat_interval = absl::Milliseconds(500);
    // Called once, on the host's thread, when core can store no more: end the process.
    std::function<void()> on_unhealthy;
  };

  // `core` was started and must outlive the host.
  CoordinatorHost(Coordinator* core, Options options);
  // Stops the thread.
  ~CoordinatorHost();

  // f(Coordinator& core, PackBytes& packs, Instant now), alone; then drops the bytes that core
  // named and wakes the waiters if core's state changed. f must not call the host.
  template <typename F>
  auto Call(F&& f) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    const AfterCall after{this};
    return f(*core_, packs_, Now());
  }

  // Drops the bytes that core named; for an f that stores bytes itself.
  static void DropNamed(Coordinator* core, PackBytes* packs);

  // Polled in the order of addition, so that of several that want the same the longest waiting is
  // first.
  uint64_t AddWaiter(std::shared_ptr<Waiter> waiter);
  void RemoveWaiter(uint64_t id);

  // From now on waiters and new calls end with UNAVAILABLE.
  void Drain();
  bool draining() const { return draining_; }

  Instant Now() const;
  absl::Duration SteadyNow() const { return options_.clock->SteadyNow(); }
  const Options& options() const { return options_; }

 private:
  struct AfterCall {
    CoordinatorHost* host;
    ~AfterCall() { host->OnCalled(); }
  };
  void OnCalled();
  void Run();

  Coordinator* const core_;
  const Options options_;
  std::atomic<bool> draining_{false};
  std::atomic<bool> stopping_{false};
  Wakeup wakeup_;

  absl::Mutex mutex_;
  PackBytes packs_;
  uint64_t revision_ = 0;

  absl::Mutex waiters_mutex_ ABSL_ACQUIRED_AFTER(mutex_);
  uint64_t last_waiter_ ABSL_GUARDED_BY(waiters_mutex_) = 0;
  std::map<uint64_t, std::shared_ptr<Waiter>> waiters_ ABSL_GUARDED_BY(waiters_mutex_);

  std::thread thread_;
};

}  // namespace navit

#endif  // NAVIT_SERVER_HOST_H_
