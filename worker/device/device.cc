#include "worker/device/device.h"

#include <utility>

#include "common/status_macros.h"

namespace navit {

absl::StatusOr<DeviceBuffer> DeviceBuffer::Make(Device* device, size_t bytes) {
  DeviceBuffer buffer;
  NAVIT_ASSIGN_OR_RETURN(buffer.data_, device->arena()->Take(bytes));
  buffer.device_ = device;
  buffer.bytes_ = bytes;
  return buffer;
}

absl::StatusOr<DeviceBuffer> DeviceBuffer::MakePinned(Device* device, size_t bytes) {
  DeviceBuffer buffer;
  NAVIT_ASSIGN_OR_RETURN(buffer.data_, device->AllocatePinned(bytes));
  buffer.device_ = device;
  buffer.bytes_ = bytes;
  buffer.pinned_ = true;
  return buffer;
}

DeviceBuffer::DeviceBuffer(DeviceBuffer&& other) noexcept { *this = std::move(other); }

DeviceBuffer& DeviceBuffer::operator=(DeviceBuffer&& other) noexcept {
  std::swap(device_, other.device_);
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  std::swap(pinned_, other.pinned_);
  return *this;
}

DeviceBuffer::~DeviceBuffer() {
  if (data_ == nullptr) return;
  pinned_ ? device_->FreePinned(data_) : device_->arena()->Return(data_);
}

absl::StatusOr<OwnedStream> OwnedStream::Make(Device* device) {
  OwnedStream stream;
  NAVIT_ASSIGN_OR_RETURN(stream.stream_, device->CreateStream());
  stream.device_ = device;
  return stream;
}

OwnedStream::OwnedStream(OwnedStream&& other) noexcept { *this = std::move(other); }

OwnedStream& OwnedStream::operator=(OwnedStream&& other) noexcept {
  std::swap(device_, other.device_);
  std::swap(stream_, other.stream_);
  return *this;
}

OwnedStream::~OwnedStream() {
  if (device_ != nullptr) device_->DestroyStream(stream_);
}

absl::StatusOr<OwnedEvent> OwnedEvent::Make(Device* device) {
  OwnedEvent event;
  NAVIT_ASSIGN_OR_RETURN(event.event_, device->CreateEvent());
  event.device_ = device;
  return event;
}

OwnedEvent::OwnedEvent(OwnedEvent&& other) noexcept { *this = std::move(other); }

OwnedEvent& OwnedEvent::operator=(OwnedEvent&& other) noexcept {
  std::swap(device_, other.device_);
  std::swap(event_, other.event_);
  return *this;
}

OwnedEvent::~OwnedEvent() {
  if (device_ != nullptr) device_->DestroyEvent(event_);
}

namespace {

absl::Status Grow(size_t bytes, Device* device,
                  absl::StatusOr<DeviceBuffer> (*make)(Device*, size_t), DeviceBuffer* buffer) {
  if (buffer->bytes() >= bytes) return absl::OkStatus();
  *buffer = DeviceBuffer();
  NAVIT_ASSIGN_OR_RETURN(*buffer, make(device, bytes));
  return absl::OkStatus();
}

}  // namespace

absl::Status GrowBuffer(size_t bytes, Device* device, DeviceBuffer* buffer) {
  return Grow(bytes, device, DeviceBuffer::Make, buffer);
}

absl::Status GrowPinnedBuffer(size_t bytes, Device* device, DeviceBuffer* buffer) {
  return Grow(bytes, device, DeviceBuffer::MakePinned, buffer);
}

}  // namespace navit
