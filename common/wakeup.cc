#include "common/wakeup.h"

#include <algorithm>
#include <chrono>

namespace navit {

void Wakeup::Ring() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    rung_ = true;
  }
  changed_.notify_one();
}

bool Wakeup::Wait(absl::Duration timeout) {
  // Longer waits would overflow the clock's arithmetic; nobody notices a day.
  const absl::Duration bounded = std::clamp(timeout, absl::ZeroDuration(), absl::Hours(24));
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait_until(lock, std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(bounded),
                      [this] { return rung_; });
  const bool rung = rung_;
  rung_ = false;
  return rung;
}

}  // namespace navit
