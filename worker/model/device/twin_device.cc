#include "worker/model/device/twin_device.h"

#include <cstddef>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace navit {

namespace twin = kernels::cuda::twin;

absl::StatusOr<void*> TwinDevice::Allocate(size_t bytes) {
  auto region = std::make_unique<twin::Region>(absl::StrCat("memory of ", bytes), bytes);
  void* const memory = region->data();
  regions_[memory] = std::move(region);
  return memory;
}

void TwinDevice::Free(void* memory) {
  const auto region = regions_.find(memory);
  region->second->CheckGuards();
  regions_.erase(region);
}

bool TwinDevice::Owns(const void* memory) const { return twin::FindRegion(memory) != nullptr; }

absl::Status TwinDevice::Copy(void* to, const void* from, size_t bytes, DeviceStream) {
  if (bytes > 0) std::memmove(to, from, bytes);
  twin::SetWritten(to, bytes);
  return absl::OkStatus();
}

absl::Status TwinDevice::FillZero(void* memory, size_t bytes, DeviceStream) {
  if (bytes > 0) std::memset(memory, 0, bytes);
  twin::SetWritten(memory, bytes);
  return absl::OkStatus();
}

}  // namespace navit
