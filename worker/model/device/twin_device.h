// The host twin as a Device: allocations are regions whose every access by a kernel is checked, and
// work is done when it is queued. Tests only. Of one thread, as the twin is.
#ifndef NAVIT_WORKER_MODEL_DEVICE_TWIN_DEVICE_H_
#define NAVIT_WORKER_MODEL_DEVICE_TWIN_DEVICE_H_

#include <cstdlib>
#include <map>
#include <memory>
#include <string>

#include "kernels/cuda/host_twin/memory.h"
#include "worker/device/device.h"

namespace navit {

class TwinDevice : public Device {
 public:
  const std::string& name() const override { return name_; }
  absl::Status MakeCurrent() override { return absl::OkStatus(); }
  absl::StatusOr<void*> Allocate(size_t bytes) override;
  void Free(void* memory) override;
  absl::StatusOr<void*> AllocatePinned(size_t bytes) override { return std::malloc(bytes + 1); }
  void FreePinned(void* memory) override { std::free(memory); }
  bool Owns(const void* memory) const override;
  absl::StatusOr<DeviceStream> CreateStream() override { return nullptr; }
  void DestroyStream(DeviceStream) override {}
  absl::Status Copy(void* to, const void* from, size_t bytes, DeviceStream) override;
  absl::Status FillZero(void* memory, size_t bytes, DeviceStream) override;
  absl::Status CallOnHost(void (*function)(void*), void* argument, DeviceStream) override {
    ++host_calls_;
    function(argument);
    return absl::OkStatus();
  }
  absl::StatusOr<bool> Idle(DeviceStream) override { return true; }
  absl::Status Synchronize(DeviceStream) override {
    ++waits_;
    return absl::OkStatus();
  }
  absl::StatusOr<Memory> memory() const override { return Memory(); }

  // How often the host waited so far.
  int waits() const { return waits_; }
  // How often CallOnHost was asked for.
  int host_calls() const { return host_calls_; }

 private:
  const std::string name_ = "host twin";
  int waits_ = 0;
  int host_calls_ = 0;
  std::map<void*, std::unique_ptr<kernels::cuda::twin::Region>> regions_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_DEVICE_TWIN_DEVICE_H_
