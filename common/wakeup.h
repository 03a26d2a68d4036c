// A bell between threads whose timed wait runs on the steady clock. (absl::Mutex's timed waits run
// on the wall clock: when that jumps back an hour they sleep an hour.)
#ifndef NAVIT_COMMON_WAKEUP_H_
#define NAVIT_COMMON_WAKEUP_H_

#include <condition_variable>
#include <mutex>

#include "absl/time/time.h"

namespace navit {

// Thread-safe. A ring that comes while nobody waits is kept for the next Wait; several rings count
// as one. Meant for one waiting thread.
class Wakeup {
 public:
  void Ring();
  // Returns at the next ring (true) or after `timeout` (false), and uses the ring up.
  bool Wait(absl::Duration timeout);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool rung_ = false;
};

}  // namespace navit

#endif  // NAVIT_COMMON_WAKEUP_H_
