#include "worker/model/device/twin_device.h"

#include <cstddef>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace navit {

namespace twin = kernels::cuda::twin;

namespace {

// Events of the schedule, numbered from 0; null is none.
int NumberOf(DeviceEvent event) { return static_cast<int>(reinterpret_cast<intptr_t>(event)) - 1; }

void CopyNow(void* to, const void* from, size_t bytes) {
  if (bytes > 0) std::memmove(to, from, bytes);
  twin::SetWritten(to, bytes);
}

}  // namespace

void* TwinDevice::Arena::Make(size_t bytes) {
  auto region = std::make_unique<twin::Region>(absl::StrCat("memory of ", bytes), bytes);
  void* const piece = region->data();
  regions_[piece] = std::move(region);
  return piece;
}

void TwinDevice::Arena::Drop(void* piece) {
  schedule_.RunAll();
  const auto region = regions_.find(piece);
  region->second->CheckGuards();
  regions_.erase(region);
}

absl::StatusOr<void*> TwinDevice::AllocatePinned(size_t bytes) {
  ++pinned_allocations_;
  Pinned pinned{std::unique_ptr<char[]>(new char[bytes + 1]), bytes};
  char* const memory = pinned.memory.get();
  pinned_[memory] = std::move(pinned);
  return memory;
}

void TwinDevice::FreePinned(void* memory) {
  const auto pinned = pinned_.find(static_cast<char*>(memory));
  std::memset(memory, 0xff, pinned->second.bytes);
  freed_.push_back(std::move(pinned->second));
  pinned_.erase(pinned);
}

bool TwinDevice::IsPinned(const void* memory) const {
  auto next = pinned_.upper_bound(static_cast<const char*>(memory));
  if (next == pinned_.begin()) return false;
  --next;
  return memory < next->first + next->second.bytes;
}

bool TwinDevice::Owns(const void* memory) const { return twin::FindRegion(memory) != nullptr; }

absl::Status TwinDevice::Copy(void* to, const void* from, size_t bytes, DeviceStream stream) {
  const auto pageable = [this](const void* memory) { return !Owns(memory) && !IsPinned(memory); };
  if (pageable(to)) {
    schedule_.RunStream(stream);
    CopyNow(to, from, bytes);
  } else if (pageable(from)) {
    twin::Queue(stream, [to, copy = std::string(static_cast<const char*>(from), bytes)] {
      CopyNow(to, copy.data(), copy.size());
    });
  } else {
    twin::Queue(stream, [=] { CopyNow(to, from, bytes); });
  }
  return absl::OkStatus();
}

absl::Status TwinDevice::FillZero(void* memory, size_t bytes, DeviceStream stream) {
  twin::Queue(stream, [=] {
    if (bytes > 0) std::memset(memory, 0, bytes);
    twin::SetWritten(memory, bytes);
  });
  return absl::OkStatus();
}

absl::Status TwinDevice::CallOnHost(void (*function)(void*), void* argument, DeviceStream stream) {
  ++host_calls_;
  twin::Queue(stream, [=] { function(argument); });
  return absl::OkStatus();
}

absl::StatusOr<DeviceEvent> TwinDevice::CreateEvent() {
  return reinterpret_cast<DeviceEvent>(static_cast<intptr_t>(schedule_.CreateEvent()) + 1);
}

absl::Status TwinDevice::Record(DeviceEvent event, DeviceStream stream) {
  schedule_.Record(NumberOf(event), stream);
  return absl::OkStatus();
}

absl::Status TwinDevice::Wait(DeviceEvent event, DeviceStream stream) {
  schedule_.Wait(NumberOf(event), stream);
  return absl::OkStatus();
}

absl::Status TwinDevice::Await(DeviceEvent event) {
  schedule_.RunEvent(NumberOf(event));
  return absl::OkStatus();
}

absl::Status TwinDevice::Synchronize(DeviceStream stream) {
  ++waits_;
  schedule_.RunStream(stream);
  return absl::OkStatus();
}

}  // namespace navit
