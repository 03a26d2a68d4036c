// The memory of a GPU in one hand: its arena reserves memory from the driver, gives out pieces of
// it, and keeps what comes back for others. Implementations: CUDA's memory pool (cuda_arena.h), and
// host memory for tests (host_arena.h).
#ifndef NAVIT_WORKER_DEVICE_ARENA_H_
#define NAVIT_WORKER_DEVICE_ARENA_H_

#include <cstddef>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace navit {

struct DeviceMemory {
  size_t total_bytes = 0;
  // What can be taken: nobody's, or held by the arena without use.
  size_t free_bytes = 0;
  // What the arena holds of the driver's memory, how much of it is in pieces that were taken, and
  // the most that was since the last ResetPeak.
  size_t arena_reserved_bytes = 0;
  size_t arena_used_bytes = 0;
  size_t arena_peak_bytes = 0;
};

// Thread-safe. Once buffers have grown to the largest need, nothing is reserved any more: neither
// where they stay as they are, nor where some die and others are made.
class DeviceArena {
 public:
  virtual ~DeviceArena() = default;

  // A piece for the use of every stream, aligned to 256 bytes; uninitialised. ResourceExhausted,
  // where a Trim did not help either, says how much was wanted, is in use and is free.
  absl::StatusOr<void*> Take(size_t bytes);
  // Waits for all work of the device, which may still use the piece.
  virtual void Return(void* piece) = 0;
  // Gives the driver back what is reserved and not in use.
  virtual absl::Status Trim() = 0;
  // The peak is what is in use now.
  virtual absl::Status ResetPeak() = 0;
  virtual absl::StatusOr<DeviceMemory> memory() const = 0;

 protected:
  // Of the device of this name.
  explicit DeviceArena(std::string device) : device_(std::move(device)) {}
  // As Take. ResourceExhausted, with the driver's text: what is free does not hold the piece as it
  // lies.
  virtual absl::StatusOr<void*> TryTake(size_t bytes) = 0;

  const std::string& device() const { return device_; }

 private:
  const std::string device_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_DEVICE_ARENA_H_
