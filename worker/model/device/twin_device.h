// The host twin as a Device: pieces of its arena are regions whose every access by a kernel is
// checked, and queued work runs in an order that streams and events alone fix
// (host_twin/streams.h). Tests only.
// Of one thread, as the twin is.
#ifndef NAVIT_WORKER_MODEL_DEVICE_TWIN_DEVICE_H_
#define NAVIT_WORKER_MODEL_DEVICE_TWIN_DEVICE_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernels/cuda/host_twin/memory.h"
#include "kernels/cuda/host_twin/streams.h"
#include "worker/device/device.h"
#include "worker/device/host_arena.h"

namespace navit {

class TwinDevice : public Device {
 public:
  // Of twin::Schedule, for two streams that both run now and then.
  static constexpr uint64_t kUsualSeed = 4;
  explicit TwinDevice(uint64_t seed = kUsualSeed) : schedule_(seed) {}

  const std::string& name() const override { return name_; }
  absl::Status MakeCurrent() override { return absl::OkStatus(); }
  HostArena* arena() override { return &arena_; }
  absl::StatusOr<void*> AllocatePinned(size_t bytes) override;
  void FreePinned(void* memory) override;
  bool Owns(const void* memory) const override;
  absl::StatusOr<DeviceStream> CreateStream() override { return schedule_.CreateStream(); }
  void DestroyStream(DeviceStream stream) override { schedule_.DestroyStream(stream); }
  absl::Status Copy(void* to, const void* from, size_t bytes, DeviceStream stream) override;
  absl::Status FillZero(void* memory, size_t bytes, DeviceStream stream) override;
  absl::Status CallOnHost(void (*function)(void*), void* argument, DeviceStream stream) override;
  absl::StatusOr<DeviceEvent> CreateEvent() override;
  void DestroyEvent(DeviceEvent) override {}
  absl::Status Record(DeviceEvent event, DeviceStream stream) override;
  absl::Status Wait(DeviceEvent event, DeviceStream stream) override;
  absl::Status Await(DeviceEvent event) override;
  absl::StatusOr<bool> Idle(DeviceStream stream) override { return schedule_.Idle(stream); }
  absl::Status Synchronize(DeviceStream stream) override;
  absl::StatusOr<Memory> memory() const override { return arena_.memory(); }

  kernels::cuda::twin::Schedule& schedule() { return schedule_; }
  // How often the host waited for a stream so far.
  int waits() const { return waits_; }
  // How often CallOnHost was asked for.
  int host_calls() const { return host_calls_; }
  // How often memory was asked for, pinned memory too.
  int allocations() const { return arena_.takes() + pinned_allocations_; }

 private:
  class Arena : public HostArena {
   public:
    Arena(std::string device, kernels::cuda::twin::Schedule* schedule)
        : HostArena(std::move(device)), schedule_(*schedule) {}

   private:
    void* Make(size_t bytes) override;
    // After all that is queued.
    void Drop(void* piece) override;

    kernels::cuda::twin::Schedule& schedule_;
    std::map<void*, std::unique_ptr<kernels::cuda::twin::Region>> regions_;
  };
  struct Pinned {
    std::unique_ptr<char[]> memory;
    size_t bytes;
  };
  bool IsPinned(const void* memory) const;

  const std::string name_ = "host twin";
  int waits_ = 0;
  int host_calls_ = 0;
  int pinned_allocations_ = 0;
  std::map<const char*, Pinned> pinned_;  // by first byte
  // Overwritten and kept, so that a copy that is late shows in its result.
  std::vector<Pinned> freed_;
  kernels::cuda::twin::Schedule schedule_;
  Arena arena_{name_, &schedule_};
};

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_DEVICE_TWIN_DEVICE_H_
