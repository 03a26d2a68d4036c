#include "worker/device/host_arena.h"

#include <algorithm>
#include <cstdlib>

namespace navit {
namespace {

constexpr size_t kAlignment = 256;

}  // namespace

HostArena::~HostArena() {
  absl::MutexLock lock(&mutex_);
  if (!taken_.empty()) std::abort();
}

void* HostArena::Make(size_t bytes) {
  return std::aligned_alloc(kAlignment, (bytes + kAlignment) / kAlignment * kAlignment);
}

void HostArena::Drop(void* piece) { std::free(piece); }

absl::StatusOr<void*> HostArena::TryTake(size_t bytes) {
  absl::MutexLock lock(&mutex_);
  size_t reserved = bytes;
  if (const auto kept = kept_.lower_bound(bytes); kept != kept_.end()) {
    reserved = *kept;
    kept_.erase(kept);
  } else if (reserved_ + bytes <= limit_) {
    ++reservations_;
    reserved_ += bytes;
  } else {
    return absl::ResourceExhaustedError("the host's limit");
  }
  ++takes_;
  used_ += bytes;
  peak_ = std::max(peak_, used_);
  void* const piece = Make(bytes);
  taken_[static_cast<char*>(piece)] = {bytes, reserved};
  return piece;
}

void HostArena::Return(void* piece) {
  Piece returned;
  {
    absl::MutexLock lock(&mutex_);
    const auto taken = taken_.find(static_cast<char*>(piece));
    if (taken == taken_.end()) std::abort();
    returned = taken->second;
    // Before another piece may lie there.
    taken_.erase(taken);
  }
  Drop(piece);
  absl::MutexLock lock(&mutex_);
  used_ -= returned.bytes;
  kept_.insert(returned.reserved_bytes);
}

absl::Status HostArena::Trim() {
  absl::MutexLock lock(&mutex_);
  for (const size_t bytes : kept_) reserved_ -= bytes;
  kept_.clear();
  return absl::OkStatus();
}

absl::Status HostArena::ResetPeak() {
  absl::MutexLock lock(&mutex_);
  peak_ = used_;
  return absl::OkStatus();
}

absl::StatusOr<DeviceMemory> HostArena::memory() const {
  absl::MutexLock lock(&mutex_);
  return DeviceMemory{limit_, limit_ - std::min(limit_, used_), reserved_, used_, peak_};
}

void HostArena::SetLimit(size_t bytes) {
  absl::MutexLock lock(&mutex_);
  limit_ = bytes;
}

int HostArena::takes() const {
  absl::MutexLock lock(&mutex_);
  return takes_;
}

int HostArena::reservations() const {
  absl::MutexLock lock(&mutex_);
  return reservations_;
}

bool HostArena::Holds(const void* memory) const {
  absl::MutexLock lock(&mutex_);
  auto next = taken_.upper_bound(static_cast<const char*>(memory));
  if (next == taken_.begin()) return false;
  --next;
  return memory < next->first + next->second.bytes;
}

}  // namespace navit
