// The host twin as a Device: allocations are regions whose every access by a kernel is checked, and
// queued work runs in an order that streams and events alone fix (host_twin/streams.h). Tests only.
// Of one thread, as the twin is.
#ifndef NAVIT_WORKER_MODEL_DEVICE_TWIN_DEVICE_H_
#define NAVIT_WORKER_MODEL_DEVICE_TWIN_DEVICE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernels/cuda/host_twin/memory.h"
#include "kernels/cuda/host_twin/streams.h"
#include "worker/device/device.h"

namespace navit {

class TwinDevice : public Device {
 public:
  // Of twin::Schedule, for two streams that both run now and then.
  static constexpr uint64_t kUsualSeed = 4;
  explicit TwinDevice(uint64_t seed = kUsualSeed) : schedule_(seed) {}

  const std::string& name() const override { return name_; }
  absl::Status MakeCurrent() override { return absl::OkStatus(); }
  absl::StatusOr<void*> Allocate(size_t bytes) override;
  void Free(void* memory) override;
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
  absl::StatusOr<Memory> memory() const override { return Memory(); }

  kernels::cuda::twin::Schedule& schedule() { return schedule_; }
  // How often the host waited for a stream so far.
  int waits() const { return waits_; }
  // How often CallOnHost was asked for.
  int host_calls() const { return host_calls_; }
  // How often memory was asked for, pinned memory too.
  int allocations() const { return allocations_; }

 private:
  struct Pinned {
    std::unique_ptr<char[]> memory;
    size_t bytes;
  };
  bool IsPinned(const void* memory) const;

  const std::string name_ = "host twin";
  int waits_ = 0;
  int host_calls_ = 0;
  int allocations_ = 0;
  std::map<void*, std::unique_ptr<kernels::cuda::twin::Region>> regions_;
  std::map<const char*, Pinned> pinned_;  // by first byte
  // Overwritten and kept, so that a copy that is late shows in its result.
  std::vector<Pinned> freed_;
  kernels::cuda::twin::Schedule schedule_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_DEVICE_TWIN_DEVICE_H_
