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

#include "absl/strings/str_cat.h"

namespace navit {
namespace {

constexpr size_t kAlignment = 256;

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

void* AlignedBytes(size_t bytes) {
  return std::aligned_alloc(kAlignment, (bytes + kAlignment) / kAlignment * kAlignment);
}

}  // namespace

HostDevice::HostDevice() = default;

HostDevice::~HostDevice() {
  absl::MutexLock lock(&mutex_);
  if (!owned_.empty()) std::abort();
}

void HostDevice::Enqueue(DeviceStream stream, std::function<bool()> task) {
  std::lock_guard<std::mutex> lock(Of(stream)->mutex);
  Of(stream)->tasks.push_back(std::move(task));
}

void HostDevice::SetLimit(size_t bytes) {
  absl::MutexLock lock(&mutex_);
  limit_ = bytes;
}

absl::StatusOr<void*> HostDevice::Allocate(size_t bytes) {
  absl::MutexLock lock(&mutex_);
  if (used_ + bytes > limit_) {
    return absl::ResourceExhaustedError(absl::StrCat("out of memory: ", bytes, " bytes of ", limit_,
                                                     ", of which ", used_, " are in use"));
  }
  char* memory = static_cast<char*>(AlignedBytes(bytes));
  used_ += bytes;
  owned_[memory] = bytes;
  return memory;
}

void HostDevice::Free(void* memory) {
  absl::MutexLock lock(&mutex_);
  const auto entry = owned_.find(static_cast<char*>(memory));
  used_ -= entry->second;
  owned_.erase(entry);
  std::free(memory);
}

absl::StatusOr<void*> HostDevice::AllocatePinned(size_t bytes) { return AlignedBytes(bytes); }

void HostDevice::FreePinned(void* memory) { std::free(memory); }

bool HostDevice::Owns(const void* memory) const {
  absl::MutexLock lock(&mutex_);
  auto next = owned_.upper_bound(static_cast<const char*>(memory));
  if (next == owned_.begin()) return false;
  --next;
  return memory < next->first + next->second;
}

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

absl::StatusOr<Device::Memory> HostDevice::memory() const {
  absl::MutexLock lock(&mutex_);
  return Memory{limit_, limit_ - used_};
}

}  // namespace navit
