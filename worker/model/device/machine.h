// Where a training step's weights and activations are on a GPU: a Machine as cpu_machine.h says.
//
// Parameters, their moments and gradients live on the device as fp32, with a copy of the parameters
// as bf16 for linear layers. The host waits for the outputs of the towers (once for all
// micro-batches, so that it prepares the next one while the device computes) and the contrastive
// loss, whose steps over ranks are the host's, for the gradients, and for their norm.
#ifndef NAVIT_WORKER_MODEL_DEVICE_MACHINE_H_
#define NAVIT_WORKER_MODEL_DEVICE_MACHINE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "kernels/cuda/linear.h"
#include "worker/device/device.h"
#include "worker/model/device/contrastive_kernels.h"
#include "worker/model/device/forward.h"
#include "worker/model/diagnosis.h"
#include "worker/model/embed.h"
#include "worker/model/gradient_reducer.h"
#include "worker/model/optimizer.h"
#include "worker/model/tower.h"

namespace navit {

class DeviceMachine : public DeviceForward {
 public:
  static constexpr bool kRunsAhead = true;

  // Copies `state` to the device. All must outlive the machine. ResourceExhausted: the device has
  // too little memory.
  static absl::StatusOr<DeviceMachine> Make(const ParameterTable& table, ModelState* state,
                                            Device* device, kernels::cuda::LinearEngine* engine);
  DeviceMachine(DeviceMachine&&) = default;
  ~DeviceMachine();

  static DeviceBatch Shape(const Batch& batch);

  absl::Status Start();

  absl::Span<float> gradients() { return {Floats(gradients_), size_}; }
  float LossParameter(size_t offset) const { return state_->parameters.data()[offset]; }

  ContrastiveKernels& contrastive() { return *contrastive_; }

  absl::StatusOr<const kernels::cuda::Bf16*> OutputGradients(const float* values, int64_t count);
  void ZeroGradients();
  void SetGradient(size_t offset, float value);
  GradientProgress Progress(GradientReducer* reducer);
  absl::StatusOr<UpdateResult> Update(const ParameterTable& table, const OptimizerOptions& options,
                                      double learning_rate);
  absl::StatusOr<std::unique_ptr<PackEmbedder>> MakeEmbedder(const ParameterTable& table,
                                                             int64_t joined_tokens);
  absl::Status ReadState();
  absl::Status ReadGradients();

  // Activations of a device are not looked at.
  void AddAttentionLogits(const char*, const TowerConfig&, absl::Span<const int32_t>,
                          const TowerActivations<DeviceOps>&, StepDiagnosis*) const {}

 private:
  // Gradients up to `complete` are on their way to `reducer`.
  struct Note {
    GradientReducer* reducer;
    size_t complete;
  };

  DeviceMachine(DeviceForward forward, ModelState* state)
      : DeviceForward(std::move(forward)), state_(state), size_(state->parameters.size()) {}
  static float* Floats(const DeviceBuffer& buffer) { return static_cast<float*>(buffer.data()); }
  absl::Status WriteState();
  // Prepares AdamW's pieces, unless those of `ranges` are on the device already.
  absl::Status PrepareRanges(std::vector<UpdateRange> ranges);
  // The gradient's norm and the factor of clipping.
  absl::Status Norm(double clip_norm, float* norm, float* scale);
  // The loss's own parameters, which come first, clamped, and on the host too.
  absl::Status UpdateLossParameters(const ParameterTable& table, double* logit_scale);

  ModelState* state_;
  size_t size_;
  // What of the state lies on both sides.
  struct Mirror {
    AlignedBuffer* host;
    const DeviceBuffer* device;
  };
  std::vector<Mirror> mirrors();

  DeviceBuffer parameters_, weights_, first_moment_, second_moment_, gradients_;
  // Of the parameters; empty where the job has none.
  DeviceBuffer average_;
  // What an update treats alike, which no step changes, and AdamW's pieces of it.
  std::vector<UpdateRange> ranges_;
  int64_t pieces_ = 0;
  DeviceBuffer piece_;
  // Of the gradient's norm: partial sums, the norm, the factor.
  DeviceBuffer norm_;
  DeviceBuffer output_gradients_;
  std::deque<Note> notes_;
  std::unique_ptr<DeviceContrastiveKernels> contrastive_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_DEVICE_MACHINE_H_
