// The trainer's protocol state, shared by the heartbeat session, the training run and the reporter
// of steps: one mutex, and waits for conditions on it.
#ifndef NAVIT_WORKER_PROTOCOL_CELL_H_
#define NAVIT_WORKER_PROTOCOL_CELL_H_

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <utility>

#include "worker/protocol/trainer_protocol.h"

namespace navit {

// Thread-safe.
class ProtocolCell {
 public:
  // Calls f(TrainerProtocol&) while nobody else does, then wakes every wait.
  template <typename F>
  auto Change(F f) {
    std::lock_guard<std::mutex> lock(mutex_);
    changed_.notify_all();
    return f(protocol_);
  }

  template <typename F>
  auto Read(F f) const {
    std::lock_guard<std::mutex> lock(mutex_);
    return f(protocol_);
  }

  // Waits until condition(protocol) is true. What else the condition reads (a flag of the caller)
  // must be followed by Wake when it changes.
  template <typename Condition>
  void Await(Condition condition) const {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return condition(protocol_); });
  }

  // The same with a time limit, on the steady clock; false: it passed.
  template <typename Condition>
  bool AwaitFor(std::chrono::milliseconds limit, Condition condition) const {
    std::unique_lock<std::mutex> lock(mutex_);
    return changed_.wait_for(lock, limit, [&] { return condition(protocol_); });
  }

  void Wake() {
    std::lock_guard<std::mutex> lock(mutex_);
    changed_.notify_all();
  }

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  TrainerProtocol protocol_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_PROTOCOL_CELL_H_
