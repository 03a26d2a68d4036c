#include "worker/model/device/input.h"

#include "common/status_macros.h"

namespace navit {

absl::Status DeviceInput::Fill(const ModelConfig& config, const Batch& batch, Device* device,
                               DeviceStream copies) {
  Side& next = sides_[1 - current_];
  if (next.filled.get() == nullptr) {
    NAVIT_ASSIGN_OR_RETURN(next.filled, OwnedEvent::Make(device));
    NAVIT_ASSIGN_OR_RETURN(next.released, OwnedEvent::Make(device));
  }
  NAVIT_RETURN_IF_ERROR(device->Await(next.filled.get()));
  NAVIT_RETURN_IF_ERROR(device->Wait(next.released.get(), copies));
  NAVIT_ASSIGN_OR_RETURN(next.batch, next.buffer.Fill(config, batch, device, copies));
  return device->Record(next.filled.get(), copies);
}

absl::Status DeviceInput::Turn(Device* device, DeviceStream stream) {
  current_ = 1 - current_;
  return device->Wait(sides_[current_].filled.get(), stream);
}

absl::Status DeviceInput::Release(Device* device, DeviceStream stream) {
  return device->Record(sides_[current_].released.get(), stream);
}

}  // namespace navit
