#include "worker/device/host_device.h"

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

namespace navit {
namespace {

struct HostStream {
  std::mutex mutex;
  std::deque<std::function<bool()>> tasks;
};

struct HostEvent {
  // Which of its records is done; also the tasks', which may outlive the event.
  std::shared_ptr<std::atomic<int64_t>> done = std::make_shared<std::atomic<int64_t>>(0);
  int64_t records = 0;
  DeviceStream stream = nullptr;  // of the last one
};

HostEvent* Of(DeviceEvent event) { return reinterpret_cast<HostEvent*>(event); }

HostStream* Of(DeviceStream stream) { return reinterpret_cast<HostStream*>(stream); }

}  // namespace

void HostDevice::Enqueue(DeviceStream stream, std::function<bool()> task) {
  std::lock_guard<std::mutex> lock(Of(stream)->mutex);
  Of(stream)->tasks.push_back(std::move(task));
}

absl::StatusOr<void*> HostDevice::AllocatePinned(size_t bytes) { return std::malloc(bytes + 1); }

void HostDevice::FreePinned(void* memory) { std::free(memory); }

absl::StatusOr<DeviceStream> HostDevice::CreateStream() {
  return reinterpret_cast<DeviceStream>(new HostStream);
}

void HostDevice::DestroyStream(DeviceStream stream) { delete Of(stream); }

absl::Status HostDevice::Copy(void* to, const void* from, size_t bytes, DeviceStream stream) {
  Enqueue(stream, [=] {
    std::memcpy(to, from, bytes);
    return true;
  });
  return absl::OkStatus();
}

absl::Status HostDevice::FillZero(void* memory, size_t bytes, DeviceStream stream) {
  Enqueue(stream, [=] {
    std::memset(memory, 0, bytes);
    return true;
  });
  return absl::OkStatus();
}

absl::Status HostDevice::CallOnHost(void (*function)(void*), void* argument, DeviceStream stream) {
  Enqueue(stream, [=] {
    function(argument);
    return true;
  });
  return absl::OkStatus();
}

absl::StatusOr<DeviceEvent> HostDevice::CreateEvent() {
  return reinterpret_cast<DeviceEvent>(new HostEvent);
}

void HostDevice::DestroyEvent(DeviceEvent event) { delete Of(event); }

absl::Status HostDevice::Record(DeviceEvent event, DeviceStream stream) {
  Of(event)->stream = stream;
  Enqueue(stream, [done = Of(event)->done, record = ++Of(event)->records] {
    *done = record;
    return true;
  });
  return absl::OkStatus();
}

absl::Status HostDevice::Wait(DeviceEvent event, DeviceStream stream) {
  Enqueue(stream,
          [done = Of(event)->done, record = Of(event)->records] { return *done >= record; });
  return absl::OkStatus();
}

absl::Status HostDevice::Await(DeviceEvent event) {
  while (*Of(event)->done < Of(event)->records) {
    Idle(Of(event)->stream).IgnoreError();
    std::this_thread::yield();
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> HostDevice::Idle(DeviceStream stream) {
  std::lock_guard<std::mutex> lock(Of(stream)->mutex);
  std::deque<std::function<bool()>>& tasks = Of(stream)->tasks;
  while (!tasks.empty() && tasks.front()()) tasks.pop_front();
  return tasks.empty();
}

absl::Status HostDevice::Synchronize(DeviceStream stream) {
  while (!*Idle(stream)) std::this_thread::yield();
  return absl::OkStatus();
}

}  // namespace navit
