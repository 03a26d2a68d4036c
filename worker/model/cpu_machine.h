// Where a training step's weights and activations are: here in the memory of the host.
//
// A Machine is a forward machine (cpu_forward.h) that says what else of a step depends on that:
// gradients and the update.
#ifndef NAVIT_WORKER_MODEL_CPU_MACHINE_H_
#define NAVIT_WORKER_MODEL_CPU_MACHINE_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "kernels/thread_pool.h"
#include "worker/model/contrastive_kernels.h"
#include "worker/model/cpu_forward.h"
#include "worker/model/diagnosis.h"
#include "worker/model/embed.h"
#include "worker/model/gradient_reducer.h"
#include "worker/model/optimizer.h"
#include "worker/model/tower.h"

namespace navit {

class CpuMachine : public CpuForward {
 public:
  // Whether work is queued, so that the host may go on with the next step while this one computes.
  static constexpr bool kRunsAhead = false;

  CpuMachine(ModelState* state, kernels::ThreadPool* pool)
      : CpuForward(state->parameters.data(), pool), state_(state), contrastive_(pool) {}

  // Of a batch that is not loaded: enough to lay out its activations.
  static const Batch& Shape(const Batch& batch) { return batch; }

  absl::Span<float> gradients() { return state_->gradients.span(); }
  // On the host.
  float LossParameter(size_t offset) const { return state_->parameters.data()[offset]; }

  // Of the loss over pairs.
  ContrastiveKernels& contrastive() { return contrastive_; }

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
    return ApplyUpdate(table, options, learning_rate, state_, context());
  }

  // As TrainStep::MakeEmbedder.
  absl::StatusOr<std::unique_ptr<PackEmbedder>> MakeEmbedder(const ParameterTable& table,
                                                             int64_t joined_tokens) {
    return MakeCpuEmbedder(&table, state_->evaluated().data(), joined_tokens, &context());
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
          LargestAttentionLogit(tower, with_prefix, a.blocks[layer], context()));
    }
  }

 private:
  ModelState* state_;
  CpuContrastiveKernels contrastive_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_CPU_MACHINE_H_
