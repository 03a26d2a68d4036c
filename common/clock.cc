#include "common/clock.h"

#include <chrono>

#include "absl/time/clock.h"

namespace navit {
namespace {

class RealClock : public Clock {
 public:
  absl::Duration SteadyNow() const override {
    return absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
  }
  absl::Time UnixNow() const override { return absl::Now(); }
};

}  // namespace

Clock* Clock::Real() {
  static RealClock* clock = new RealClock;
  return clock;
}

absl::Duration ManualClock::SteadyNow() const {
  absl::MutexLock lock(&mutex_);
  return steady_;
}

absl::Time ManualClock::UnixNow() const {
  absl::MutexLock lock(&mutex_);
  return unix_;
}

void ManualClock::Advance(absl::Duration by) {
  absl::MutexLock lock(&mutex_);
  steady_ += by;
  unix_ += by;
}

void ManualClock::JumpUnix(absl::Duration by) {
  absl::MutexLock lock(&mutex_);
  unix_ += by;
}

}  // namespace navit
