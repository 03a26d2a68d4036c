#include "worker/model/device/forward.h"

#include <algorithm>

#include "common/status_macros.h"

namespace navit {

namespace cuda = kernels::cuda;
using cuda::Bf16;

absl::StatusOr<DeviceForward> DeviceForward::Make(const ModelConfig& config, Device* device,
                                                  cuda::LinearEngine* engine,
                                                  const float* parameters, const Bf16* weights) {
  DeviceForward machine(config, device);
  NAVIT_RETURN_IF_ERROR(device->MakeCurrent());
  NAVIT_ASSIGN_OR_RETURN(machine.compute_, OwnedStream::Make(device));
  NAVIT_ASSIGN_OR_RETURN(machine.copies_, OwnedStream::Make(device));
  machine.parameters_ = parameters;
  machine.context_ =
      std::make_unique<DeviceContext>(device, machine.compute_.get(), engine, parameters, weights);
  return machine;
}

DeviceForward::~DeviceForward() { Drain(); }

void DeviceForward::Drain() {
  // Errors were told.
  for (const OwnedStream* stream : {&compute_, &copies_}) {
    if (stream->get() != nullptr) device_->Synchronize(stream->get()).IgnoreError();
  }
}

absl::Status DeviceForward::Start() {
  // What was queued before is done: Finish waited for it, or it failed and so does this.
  NAVIT_RETURN_IF_ERROR(status());
  NAVIT_RETURN_IF_ERROR(device_->MakeCurrent());
  NAVIT_RETURN_IF_ERROR(Finish());
  outputs_.clear();
  pinned_taken_ = 0;
  return absl::OkStatus();
}

absl::Status DeviceForward::Finish() {
  // After an error too: what was queued before it must not outlive what it uses.
  context_->Keep(device_->Synchronize(stream()));
  return status();
}

absl::StatusOr<float> DeviceForward::Parameter(size_t offset) {
  float value = 0;
  NAVIT_RETURN_IF_ERROR(status());
  NAVIT_RETURN_IF_ERROR(device_->Copy(&value, parameters_ + offset, sizeof(value), stream()));
  NAVIT_RETURN_IF_ERROR(Finish());
  return value;
}

absl::Status DeviceForward::Load(const Batch& batch, Input* input) {
  NAVIT_RETURN_IF_ERROR(status());
  return input->Fill(config_, batch, device_, copies_.get());
}

absl::StatusOr<float*> DeviceForward::Reserve(size_t floats, Memory* memory) {
  NAVIT_RETURN_IF_ERROR(GrowBuffer(floats * sizeof(float), device_, memory));
  return static_cast<float*>(memory->data());
}

absl::StatusOr<Bf16*> DeviceForward::TakePinned(int64_t count) {
  if (pinned_.size() == pinned_taken_) pinned_.emplace_back();
  DeviceBuffer& memory = pinned_[pinned_taken_++];
  NAVIT_RETURN_IF_ERROR(GrowPinnedBuffer(count * sizeof(Bf16), device_, &memory));
  return static_cast<Bf16*>(memory.data());
}

absl::Status DeviceForward::Append(const Bf16* outputs, int64_t count, std::vector<float>* to) {
  NAVIT_ASSIGN_OR_RETURN(Bf16* const values, TakePinned(count));
  outputs_.push_back({values, count, to});
  return device_->Copy(values, outputs, count * sizeof(Bf16), stream());
}

absl::Status DeviceForward::TakeOutputs() {
  NAVIT_RETURN_IF_ERROR(Finish());
  for (const Output& output : outputs_) {
    output.to->resize(output.to->size() + output.count);
    std::transform(output.values, output.values + output.count, output.to->end() - output.count,
                   cuda::Bf16ToFloat);
  }
  outputs_.clear();
  pinned_taken_ = 0;
  return absl::OkStatus();
}

}  // namespace navit
