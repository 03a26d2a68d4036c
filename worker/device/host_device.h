// Host memory as a Device, for tests of what drives one. A stream is a queue of tasks that runs
// when somebody looks at it (Idle, Synchronize, Await), as far as its tasks are ready.
#ifndef NAVIT_WORKER_DEVICE_HOST_DEVICE_H_
#define NAVIT_WORKER_DEVICE_HOST_DEVICE_H_

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "worker/device/device.h"

namespace navit {

class HostDevice : public Device {
 public:
  HostDevice();
  // Everything must have been freed.
  ~HostDevice() override;

  // Queues a task, which is called until it returns true, also from other threads than the caller.
  static void Enqueue(DeviceStream stream, std::function<bool()> task);
  // From now on allocations beyond so many bytes together fail.
  void SetLimit(size_t bytes);

  const std::string& name() const override { return name_; }
  absl::Status MakeCurrent() override { return absl::OkStatus(); }
  absl::StatusOr<void*> Allocate(size_t bytes) override;
  void Free(void* memory) override;
  absl::StatusOr<void*> AllocatePinned(size_t bytes) override;
  void FreePinned(void* memory) override;
  bool Owns(const void* memory) const override;
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
  absl::StatusOr<Memory> memory() const override;

 private:
  const std::string name_ = "host memory";
  mutable absl::Mutex mutex_;
  size_t limit_ ABSL_GUARDED_BY(mutex_) = size_t{1} << 40;
  size_t used_ ABSL_GUARDED_BY(mutex_) = 0;
  // Bytes of each allocation, by its first.
  std::map<const char*, size_t> owned_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace navit

#endif  // NAVIT_WORKER_DEVICE_HOST_DEVICE_H_
