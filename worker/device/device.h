// A GPU as the trainer drives it: memory (arena.h), streams and copies. Implementations: CUDA's
// runtime (cuda_device.h), and host memory for tests (host_device.h).
#ifndef NAVIT_WORKER_DEVICE_DEVICE_H_
#define NAVIT_WORKER_DEVICE_DEVICE_H_

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/cuda/launch.h"
#include "worker/device/arena.h"

struct CUevent_st;

namespace navit {

using DeviceStream = kernels::cuda::Stream;
// The same type as cudaEvent_t.
using DeviceEvent = CUevent_st*;

// Thread-safe; one stream is used by one thread at a time. Errors are Internal with CUDA's own
// text, but for want of memory (ResourceExhausted); an error of queued work shows in a later call,
// and breaks the device for this process.
class Device {
 public:
  virtual ~Device() = default;

  // As "NVIDIA H100 80GB HBM3".
  virtual const std::string& name() const = 0;

  // Makes this the device of the calling thread; each thread that launches kernels or calls NCCL
  // does so first. The methods below need it not.
  virtual absl::Status MakeCurrent() = 0;

  // Of all memory of the device that this process uses, but for what libraries take for themselves.
  virtual DeviceArena* arena() = 0;
  // Host memory that copies to and from the device may use while the host goes on.
  virtual absl::StatusOr<void*> AllocatePinned(size_t bytes) = 0;
  virtual void FreePinned(void* memory) = 0;
  // Whether `memory` is the device's, and not the host's.
  virtual bool Owns(const void* memory) const = 0;

  virtual absl::StatusOr<DeviceStream> CreateStream() = 0;
  // After what is queued on it.
  virtual void DestroyStream(DeviceStream stream) = 0;

  // Queued on the stream, in order. Host memory that is not pinned is copied before Copy returns
  // (to the device) or makes Copy wait (from it).
  virtual absl::Status Copy(void* to, const void* from, size_t bytes, DeviceStream stream) = 0;
  virtual absl::Status FillZero(void* memory, size_t bytes, DeviceStream stream) = 0;
  // `function` runs on a thread of the host when all that was queued before is done; it must not
  // use the device.
  virtual absl::Status CallOnHost(void (*function)(void*), void* argument, DeviceStream stream) = 0;

  // How streams are ordered: Record makes the event stand for all that is queued on the stream by
  // then, in place of what it stood for before; what is queued on a stream after Wait begins when
  // that is done, also if the event is recorded again meanwhile. One that was never recorded is
  // not waited for.
  virtual absl::StatusOr<DeviceEvent> CreateEvent() = 0;
  virtual void DestroyEvent(DeviceEvent event) = 0;
  virtual absl::Status Record(DeviceEvent event, DeviceStream stream) = 0;
  virtual absl::Status Wait(DeviceEvent event, DeviceStream stream) = 0;
  // The host waits.
  virtual absl::Status Await(DeviceEvent event) = 0;

  // Whether all that was queued is done.
  virtual absl::StatusOr<bool> Idle(DeviceStream stream) = 0;
  // Waits until it is.
  virtual absl::Status Synchronize(DeviceStream stream) = 0;

  using Memory = DeviceMemory;
  // The arena's.
  virtual absl::StatusOr<Memory> memory() const = 0;
};

// A piece of a device's arena, or pinned memory of the host, which goes back at the end.
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  static absl::StatusOr<DeviceBuffer> Make(Device* device, size_t bytes);
  static absl::StatusOr<DeviceBuffer> MakePinned(Device* device, size_t bytes);
  DeviceBuffer(DeviceBuffer&& other) noexcept;
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept;
  ~DeviceBuffer();

  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  Device* device_ = nullptr;
  void* data_ = nullptr;
  size_t bytes_ = 0;
  bool pinned_ = false;
};

// A stream or an event of a device, destroyed at the end.
class OwnedStream {
 public:
  OwnedStream() = default;
  static absl::StatusOr<OwnedStream> Make(Device* device);
  OwnedStream(OwnedStream&& other) noexcept;
  OwnedStream& operator=(OwnedStream&& other) noexcept;
  ~OwnedStream();

  DeviceStream get() const { return stream_; }

 private:
  Device* device_ = nullptr;
  DeviceStream stream_ = nullptr;
};

class OwnedEvent {
 public:
  OwnedEvent() = default;
  static absl::StatusOr<OwnedEvent> Make(Device* device);
  OwnedEvent(OwnedEvent&& other) noexcept;
  OwnedEvent& operator=(OwnedEvent&& other) noexcept;
  ~OwnedEvent();

  DeviceEvent get() const { return event_; }

 private:
  Device* device_ = nullptr;
  DeviceEvent event_ = nullptr;
};

// Makes the buffer at least that large; what it held is lost if it grows. Its piece is returned
// first, since both at once may not fit.
absl::Status GrowBuffer(size_t bytes, Device* device, DeviceBuffer* buffer);
// The same of pinned memory.
absl::Status GrowPinnedBuffer(size_t bytes, Device* device, DeviceBuffer* buffer);

}  // namespace navit

#endif  // NAVIT_WORKER_DEVICE_DEVICE_H_
