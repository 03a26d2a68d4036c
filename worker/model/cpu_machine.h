// Where a training step's weights and activations are: here in the memory of the host.
//
// A Machine says what of a step depends on that: its Ops, memory for activations, inputs and
// outputs of the towers, gradients and the update.
#ifndef NAVIT_WORKER_MODEL_CPU_MACHINE_H_
#define NAVIT_WORKER_MODEL_CPU_MACHINE_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "kernels/thread_pool.h"
#include "worker/model/aligned_buffer.h"
#include "worker/model/contrastive_kernels.h"
#include "worker/model/cpu_ops.h"
#include "worker/model/diagnosis.h"
#include "worker/model/gradient_reducer.h"
#include "worker/model/optimizer.h"
#include "worker/model/tower.h"

namespace navit {

class CpuMachine {
 public:
  using Ops = CpuOps;
  using Memory = AlignedBuffer;

  // A batch as the towers read it.
  class Input {
   public:
    const Batch& batch() const { return *batch_; }

   private:
    friend class CpuMachine;
    const Batch* batch_ = nullptr;
  };

  // Whether work is queued, so that the host may go on with the next step while this one computes.
  static constexpr bool kRunsAhead = false;

  CpuMachine(ModelState* state, kernels::ThreadPool* pool)
      : state_(state), pool_(pool), contrastive_(pool) {}

  // Of a batch that is not loaded: enough to lay out its activations.
  static const Batch& Shape(const Batch& batch) { return batch; }

  // Before anything else of a step; then status() after every pass, and Finish() once all passes
  // are queued: waits for them.
  absl::Status Start() { return absl::OkStatus(); }
  absl::Status status() const { return absl::OkStatus(); }
  absl::Status Finish() { return absl::OkStatus(); }

  kernels::ThreadPool& context() { return *pool_; }
  const float* parameters() const { return state_->parameters.data(); }
  absl::Span<float> gradients() { return state_->gradients.span(); }
  // On the host.
  float LossParameter(size_t offset) const { return state_->parameters.data()[offset]; }

  // Of the loss over pairs.
  ContrastiveKernels& contrastive() { return contrastive_; }

  // On a machine that runs ahead `input` has two places: Load brings `batch`, which outlives its
  // use, to one beside that which passes read; Turn, after a Load, makes it the one that passes
  // after it read; Release follows the passes that read it.
  absl::Status Load(const Batch& batch, Input* input) {
    input->batch_ = &batch;
    return absl::OkStatus();
  }
  absl::Status Turn(Input* /*input*/) { return absl::OkStatus(); }
  absl::Status Release(Input* /*input*/) { return absl::OkStatus(); }

  // Memory of so many floats, which grows to the largest size asked for.
  absl::StatusOr<float*> Reserve(size_t floats, Memory* memory) {
    if (memory->size() < floats) {
      *memory = AlignedBuffer();  // Frees first: both at once may not fit.
      *memory = AlignedBuffer(floats);
    }
    return memory->data();
  }

  // Appends `count` outputs of a tower to a vector of the host; those of all calls are there after
  // TakeOutputs.
  absl::Status Append(const float* outputs, int64_t count, std::vector<float>* to) {
    to->insert(to->end(), outputs, outputs + count);
    return absl::OkStatus();
  }
  absl::Status TakeOutputs() { return absl::OkStatus(); }

  // Gradients of outputs, from the host to where a tower reads them, until the next call.
  absl::StatusOr<const float*> OutputGradients(const float* values, int64_t /*count*/) {
    return values;
  }

  void ZeroGradients() { std::fill_n(state_->gradients.data(), state_->gradients.size(), 0.0f); }
  void SetGradient(size_t offset, float value) { state_->gradients.data()[offset] = value; }

  // Tells the reducer when gradients are complete.
  GradientProgress Progress(GradientReducer* reducer) {
    return [reducer](size_t complete) { reducer->Complete(complete); };
  }

  absl::StatusOr<UpdateResult> Update(const ParameterTable& table, const OptimizerOptions& options,
                                      double learning_rate) {
    return ApplyUpdate(table, options, learning_rate, state_, *pool_);
  }

  // Brings the host's state up to date: weights, moments and average, or gradients.
  absl::Status ReadState() { return absl::OkStatus(); }
  absl::Status ReadGradients() { return absl::OkStatus(); }

  void AddAttentionLogits(const char* name, const TowerConfig& tower,
                          absl::Span<const int32_t> cu_seqlens, const TowerActivations<>& a,
                          StepDiagnosis* diagnosis) const {
    const std::vector<int32_t> with_prefix = WithPrefix(cu_seqlens, tower.prefix_tokens);
    for (size_t layer = 0; layer < a.blocks.size(); ++layer) {
      diagnosis->attention_logits.emplace_back(
          absl::StrCat(name, ".blocks.", layer),
          LargestAttentionLogit(tower, with_prefix, a.blocks[layer], *pool_));
    }
  }

 private:
  ModelState* state_;
  kernels::ThreadPool* pool_;
  CpuContrastiveKernels contrastive_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_CPU_MACHINE_H_
