// Time as an argument. Leases and deadlines use the steady clock; the wall clock is for people.
#ifndef NAVIT_COMMON_CLOCK_H_
#define NAVIT_COMMON_CLOCK_H_

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace navit {

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  // Time since a fixed but arbitrary point; never goes back, unmoved by changes of the wall clock.
  virtual absl::Duration SteadyNow() const = 0;
  // Wall clock.
  virtual absl::Time UnixNow() const = 0;

  // The machine's clocks; lives for ever.
  static Clock* Real();
};

// Moves only when told to; the two clocks move independently, as they do when an administrator
// sets the time.
class ManualClock : public Clock {
 public:
  explicit ManualClock(absl::Time unix_now = absl::UnixEpoch()) : unix_(unix_now) {}

  absl::Duration SteadyNow() const override;
  absl::Time UnixNow() const override;
  // Both clocks go on by `by` >= 0.
  void Advance(absl::Duration by);
  // The wall clock alone jumps.
  void JumpUnix(absl::Duration by);

 private:
  mutable absl::Mutex mutex_;
  absl::Duration steady_ ABSL_GUARDED_BY(mutex_) = absl::Seconds(1000);
  absl::Time unix_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace navit

#endif  // NAVIT_COMMON_CLOCK_H_
