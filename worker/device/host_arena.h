// A DeviceArena of host memory, for tests. It reserves as a simple pool would: a piece that was
// returned is kept as it is and serves the next one that fits into it; nothing is split or joined.
// That is the bookkeeping: the bytes of a piece are fresh each time and gone once it is returned,
// so that a sanitizer sees who uses it after that.
#ifndef NAVIT_WORKER_DEVICE_HOST_ARENA_H_
#define NAVIT_WORKER_DEVICE_HOST_ARENA_H_

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "worker/device/arena.h"

namespace navit {

class HostArena : public DeviceArena {
 public:
  explicit HostArena(std::string device) : DeviceArena(std::move(device)) {}
  // All pieces must have been returned.
  ~HostArena() override;

  void Return(void* piece) override;
  absl::Status Trim() override;
  absl::Status ResetPeak() override;
  absl::StatusOr<DeviceMemory> memory() const override;

  // The device has so many bytes from now on.
  void SetLimit(size_t bytes);
  // How often a piece was taken, and how often memory was reserved for one.
  int takes() const;
  int reservations() const;
  // Whether the byte is of a piece that was taken.
  bool Holds(const void* memory) const;

 protected:
  absl::StatusOr<void*> TryTake(size_t bytes) override;
  // A piece's own bytes, which Drop frees.
  virtual void* Make(size_t bytes);
  virtual void Drop(void* piece);

 private:
  struct Piece {
    size_t bytes;
    // Of what was reserved; at least as many.
    size_t reserved_bytes;
  };

  mutable absl::Mutex mutex_;
  size_t limit_ ABSL_GUARDED_BY(mutex_) = size_t{1} << 40;
  int takes_ ABSL_GUARDED_BY(mutex_) = 0;
  int reservations_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t reserved_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t used_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t peak_ ABSL_GUARDED_BY(mutex_) = 0;
  // By first byte.
  std::map<const char*, Piece> taken_ ABSL_GUARDED_BY(mutex_);
  // Sizes of what was returned.
  std::multiset<size_t> kept_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace navit

#endif  // NAVIT_WORKER_DEVICE_HOST_ARENA_H_
