// One training step of one rank.
//
//   ComputeGradients: forward -> loss over all ranks -> backward -> all-reduce
//   Apply:            clip -> AdamW
//
// The two are apart so that the caller can refuse to apply after an abort: gradients are good on
// this rank when ComputeGradients has returned OK, and poison otherwise.
#ifndef NAVIT_WORKER_MODEL_TRAIN_STEP_H_
#define NAVIT_WORKER_MODEL_TRAIN_STEP_H_

#include <cstdint>
#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "kernels/thread_pool.h"
#include "proto/fleet.pb.h"
#include "proto/job_spec.pb.h"
#include "worker/collective.h"
#include "worker/model/batch.h"
#include "worker/model/diagnosis.h"
#include "worker/model/embed.h"
#include "worker/model/optimizer.h"
#include "worker/model/parameters.h"

namespace navit {

// Softmax, equal captions ignored, no smoothing.
v1::LossSpec DefaultLoss();

struct TrainStepOptions {
  OptimizerOptions optimizer;
  // Kind, equal captions and smoothing are read (contrastive_loss.h, classification_loss.h).
  v1::LossSpec loss = DefaultLoss();
  // Packs are computed together up to this many tokens of the image tower.
  int64_t micro_batch_tokens = 2304;
  // Activations of as many micro-batches as fit are kept between forward and backward; those of
  // the others are computed twice (GradCache).
  int64_t activation_bytes = int64_t{4} << 30;
  // Gradients are all-reduced in buckets of about this size while the backward pass goes on.
  int64_t bucket_bytes = int64_t{1} << 20;
};

// `spec` is resolved (all fields present). InvalidArgument names a field that does not fit the
// model.
absl::StatusOr<TrainStepOptions> ResolveTrainStepOptions(const v1::JobSpec& spec,
                                                         const ParameterTable& table);

struct StepGradients {
  // Mean over the N valid examples of all ranks; 0 when N is 0.
  double loss = 0;
  // N.
  int64_t valid_examples = 0;
  // Scale of the logits in this step; 0 with a classification loss.
  double logit_scale = 0;
  // Useful operations of this rank, forward and backward.
  double useful_flops = 0;
};

class TrainStep {
 public:
  // Called when a phase starts: PHASE_FORWARD, PHASE_LOSS, PHASE_BACKWARD, PHASE_ALL_REDUCE (the
  // part that is not hidden behind backward), PHASE_OPTIMIZER.
  using PhaseCallback = std::function<void(v1::Phase)>;

  // On the CPU. `table`, `state` and `pool` must outlive the step; `on_phase` may be empty. Buffers
  // for activations grow to what the largest step so far needed and are reused.
  TrainStep(const ParameterTable* table, const TrainStepOptions& options, ModelState* state,
            kernels::ThreadPool* pool, PhaseCallback on_phase);
  // On another machine, see device/train_step.h.
  class Impl;
  explicit TrainStep(std::unique_ptr<Impl> impl);
  ~TrainStep();

  // Sets state->gradients to the gradient of the mean loss over the examples of all ranks' packs;
  // below the last tensor of a tower that learns it is zero and costs nothing.
  // Every rank calls it for every step, one without packs too; all ranks get the same bits. An
  // error of the collective (Aborted and so on) is returned as it is; then the communicator is
  // broken, gradients are undefined, parameters untouched. Between call and return the collective
  // is used by this thread and by one of the step's own, never by both at once.
  //
  // `while_busy`, if it is not empty, is called at most once: on a device when all passes of the
  // step are queued, so that the host has time, and not on the CPU. It may call Prepare.
  using WhileBusy = std::function<void()>;
  absl::StatusOr<StepGradients> ComputeGradients(absl::Span<const Batch> packs,
                                                 Collective* collective,
                                                 const WhileBusy& while_busy = {});

  // The same in two calls. Prepare joins the packs, which are not used after it; in `while_busy` it
  // also starts their copy to the device, beside what is computed there. ComputePrepared goes on
  // with the packs of the last Prepare, once. ResourceExhausted; FailedPrecondition: nothing was
  // prepared.
  absl::Status Prepare(absl::Span<const Batch> packs);
  absl::StatusOr<StepGradients> ComputePrepared(Collective* collective,
                                                const WhileBusy& while_busy = {});

  // Updates the weights from state->gradients, on every rank with the same bits. `progress` in
  // [0, 1] and `step` >= 1 drive the schedule. Nothing changes when the step had no valid example
  // or the gradient is not finite. An error, of a device alone, leaves its weights undefined.
  absl::StatusOr<UpdateResult> Apply(const StepGradients& gradients, double progress,
                                     uint64_t step);

  // Of the last step that was computed, before the packs of another are given, but by `while_busy`:
  // attention from its first micro-batch, embeddings from all of them. Nothing is kept for it, and
  // it costs about a forward pass of one pack.
  StepDiagnosis Diagnose() const;

  // The towers with the weights that evaluation uses (ModelState::evaluated), where the step keeps
  // them: it must be gone before the next Apply, and the step computes nothing meanwhile.
  // ResourceExhausted, or what is wrong with the device.
  absl::StatusOr<std::unique_ptr<PackEmbedder>> MakeEmbedder();

  // Brings parameters, moments and average of `state` up to date, which on a device they are not
  // by themselves after Apply.
  absl::Status ReadState();
  // Likewise state->gradients after ComputeGradients.
  absl::Status ReadGradients();

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_TRAIN_STEP_H_
