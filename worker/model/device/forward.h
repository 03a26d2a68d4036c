// Where a forward pass's weights and activations are on a GPU: a forward machine as cpu_forward.h
// says.
//
// Work is queued on one stream, and the copies of inputs to the device, which run beside it, on
// another (input.h). Buffers, pinned ones too, grow to what the largest pass so far needed, so that
// later ones allocate nothing.
#ifndef NAVIT_WORKER_MODEL_DEVICE_FORWARD_H_
#define NAVIT_WORKER_MODEL_DEVICE_FORWARD_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/cuda/bf16.h"
#include "kernels/cuda/linear.h"
#include "worker/device/device.h"
#include "worker/model/device/context.h"
#include "worker/model/device/input.h"
#include "worker/model/device/ops.h"

namespace navit {

class DeviceForward {
 public:
  using Ops = DeviceOps;
  using Memory = DeviceBuffer;
  using Input = DeviceInput;

  // `parameters` is the flat array in device memory, `weights` the same as bf16, for linear layers.
  // All must outlive the machine.
  static absl::StatusOr<DeviceForward> Make(const ModelConfig& config, Device* device,
                                            kernels::cuda::LinearEngine* engine,
                                            const float* parameters,
                                            const kernels::cuda::Bf16* weights);
  DeviceForward(DeviceForward&&) = default;
  ~DeviceForward();

  absl::Status Start();
  absl::Status status() const { return context_->status(); }
  absl::Status Finish();

  DeviceContext& context() { return *context_; }
  const float* parameters() const { return parameters_; }
  // Waits for what is queued.
  absl::StatusOr<float> Parameter(size_t offset);

  absl::Status Load(const Batch& batch, Input* input);
  absl::Status Turn(Input* input) { return input->Turn(device_, stream()); }
  absl::Status Release(Input* input) { return input->Release(device_, stream()); }
  absl::StatusOr<float*> Reserve(size_t floats, Memory* memory);
  absl::Status Append(const kernels::cuda::Bf16* outputs, int64_t count, std::vector<float>* to);
  absl::Status TakeOutputs();

 protected:
  Device* device() const { return device_; }
  kernels::cuda::LinearEngine* engine() const { return context_->engine(); }
  // Of the passes.
  DeviceStream stream() const { return compute_.get(); }
  // Waits for all that is queued: what it uses may go then.
  void Drain();
  // Pinned memory that nothing else uses until the next Start or TakeOutputs.
  absl::StatusOr<kernels::cuda::Bf16*> TakePinned(int64_t count);

 private:
  DeviceForward(const ModelConfig& config, Device* device) : config_(config), device_(device) {}

  ModelConfig config_;
  Device* device_;
  const float* parameters_ = nullptr;
  OwnedStream compute_, copies_;
  // Outputs that were asked for since the last TakeOutputs.
  struct Output {
    const kernels::cuda::Bf16* values;
    int64_t count;
    std::vector<float>* to;
  };
  std::vector<Output> outputs_;
  // Of TakePinned, and how many of them are taken.
  std::vector<DeviceBuffer> pinned_;
  size_t pinned_taken_ = 0;
  std::unique_ptr<DeviceContext> context_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_DEVICE_FORWARD_H_
