// A flag that ends waiting threads; sleeps run on the steady clock.
#ifndef NAVIT_COMMON_STOP_FLAG_H_
#define NAVIT_COMMON_STOP_FLAG_H_

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "absl/time/time.h"

namespace navit {

// Thread-safe; any number of sleepers.
class StopFlag {
 public:
  void Stop() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stopped_ = true;
    }
    changed_.notify_all();
  }
  bool stopped() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return stopped_;
  }
  // False: stopped, before or while sleeping.
  bool SleepFor(absl::Duration duration) {
    const auto until = std::chrono::steady_clock::now() +
                       absl::ToChronoNanoseconds(
                           std::clamp(duration, absl::ZeroDuration(), absl::Hours(24)));
    std::unique_lock<std::mutex> lock(mutex_);
    return !changed_.wait_until(lock, until, [this] { return stopped_; });
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool stopped_ = false;
};

}  // namespace navit

#endif  // NAVIT_COMMON_STOP_FLAG_H_
