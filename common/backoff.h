// How long to wait before the next attempt.
#ifndef NAVIT_COMMON_BACKOFF_H_
#define NAVIT_COMMON_BACKOFF_H_

#include <functional>
#include <optional>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace navit {

struct BackoffOptions {
  absl::Duration initial = absl::Milliseconds(100);
  absl::Duration max = absl::Seconds(5);
  double multiplier = 2;
  // Each delay is drawn from [(1 - jitter)·d, d], so that workers do not come back in step.
  double jitter = 0.5;
};

// Uniform in [0, 1).
using UniformSource = std::function<double()>;
// Seeded by the machine; thread-safe.
UniformSource SystemUniform();

// Not thread-safe.
class Backoff {
 public:
  // `deadline`: steady time (see Clock) after which no attempt may start.
  Backoff(BackoffOptions options, UniformSource uniform,
          absl::Duration deadline = absl::InfiniteDuration());

  // The delay before the next attempt; it grows with every call. Nothing once `now` + delay would
  // lie behind the deadline: give up.
  std::optional<absl::Duration> Next(absl::Duration now);
  // After a success: the next delay is the initial one again, with a new deadline.
  void Reset(absl::Duration deadline = absl::InfiniteDuration());
  // Delays given since the last Reset.
  int attempts() const { return attempts_; }

 private:
  const BackoffOptions options_;
  const UniformSource uniform_;
  absl::Duration deadline_;
  absl::Duration next_;
  int attempts_ = 0;
};

// Whether repeating the same call can help: UNAVAILABLE, DEADLINE_EXCEEDED, ABORTED, or
// RESOURCE_EXHAUSTED.
bool IsTransient(const absl::Status& status);

}  // namespace navit

#endif  // NAVIT_COMMON_BACKOFF_H_
