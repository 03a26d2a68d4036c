#include "common/backoff.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/random/random.h"
#include "absl/synchronization/mutex.h"

namespace navit {

UniformSource SystemUniform() {
  struct Guarded {
    absl::Mutex mutex;
    absl::BitGen generator;
  };
  auto guarded = std::make_shared<Guarded>();
  return [guarded] {
    absl::MutexLock lock(&guarded->mutex);
    return absl::Uniform<double>(guarded->generator, 0, 1);
  };
}

Backoff::Backoff(BackoffOptions options, UniformSource uniform, absl::Duration deadline)
    : options_(options),
      uniform_(std::move(uniform)),
      deadline_(deadline),
      next_(options.initial) {}

std::optional<absl::Duration> Backoff::Next(absl::Duration now) {
  const absl::Duration delay = next_ * (1 - options_.jitter * uniform_());
  if (now + delay > deadline_) return std::nullopt;
  next_ = std::min(options_.max, next_ * options_.multiplier);
  ++attempts_;
  return delay;
}

void Backoff::Reset(absl::Duration deadline) {
  deadline_ = deadline;
  next_ = options_.initial;
  attempts_ = 0;
}

bool IsTransient(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kResourceExhausted:
      return true;
    default:
      return false;
  }
}

}  // namespace navit
