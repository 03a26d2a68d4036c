// Host memory as a Device, for tests of what drives one. A stream is a queue of tasks that runs
// when somebody looks at it (Idle, Synchronize, Await), as far as its tasks are ready.
#ifndef NAVIT_WORKER_DEVICE_HOST_DEVICE_H_
#define NAVIT_WORKER_DEVICE_HOST_DEVICE_H_

#include <functional>
#include <string>

#include "worker/device/device.h"
#include "worker/device/host_arena.h"

namespace navit {

class HostDevice : public Device {
 public:
  // Queues a task, which is called until it returns true, also from other threads than the caller.
  static void Enqueue(DeviceStream stream, std::function<bool()> task);

  const std::string& name() const override { return name_; }
  absl::Status MakeCurrent() override { return absl::OkStatus(); }
  HostArena* arena() override { return &arena_; }
  absl::StatusOr<void*> AllocatePinned(size_t bytes) override;
  void FreePinned(void* memory) override;
  bool Owns(const void* memory) const override { return arena_.Holds(memory); }
  absl::StatusOr<DeviceStream> CreateStream() override;
  void DestroyStream(DeviceStream stream) override;
  absl::Status Copy(void* to, const void* from, size_t bytes, DeviceStream stream) override;
  absl::Status FillZero(void* memory, size_t bytes, DeviceStream stream) override;
  absl::Status CallOnHost(void (*function)(void*), void* argument, DeviceStream stream) override;
  absl::StatusOr<DeviceEvent> CreateEvent() override;
  void DestroyEvent(DeviceEvent event) override;
  absl::Status Record(DeviceEvent event, DeviceStream stream) override;
  absl::Status Wait(DeviceEvent event, DeviceStream stream) override;
  absl::Status Await(DeviceEvent event) override;
  absl::StatusOr<bool> Idle(DeviceStream stream) override;
  absl::Status Synchronize(DeviceStream stream) override;
  absl::StatusOr<Memory> memory() const override { return arena_.memory(); }

 private:
  const std::string name_ = "host memory";
  HostArena arena_{name_};
};

}  // namespace navit

#endif  // NAVIT_WORKER_DEVICE_HOST_DEVICE_H_
