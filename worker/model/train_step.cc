#include "worker/model/train_step.h"

#include "worker/model/cpu_machine.h"
#include "worker/model/train_step-inl.h"

namespace navit {

v1::LossSpec DefaultLoss() {
  v1::LossSpec loss;
  loss.set_kind(v1::LossSpec::SOFTMAX);
  loss.set_equal_captions(v1::LossSpec::IGNORE);
  return loss;
}

absl::StatusOr<TrainStepOptions> ResolveTrainStepOptions(const v1::JobSpec& spec,
                                                         const ParameterTable& table) {
  TrainStepOptions options;
  NAVIT_ASSIGN_OR_RETURN(options.optimizer,
                         ResolveOptimizerOptions(spec.optimizer(), spec.schedule(), table));
  options.loss = spec.loss();
  return options;
}

TrainStep::TrainStep(const ParameterTable* table, const TrainStepOptions& options,
                     ModelState* state, kernels::ThreadPool* pool, PhaseCallback on_phase)
    : impl_(std::make_unique<TrainStepOn<CpuMachine>>(table, options, pool, std::move(on_phase),
                                                      CpuMachine(state, pool))) {}

TrainStep::TrainStep(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

TrainStep::~TrainStep() = default;

absl::StatusOr<StepGradients> TrainStep::ComputeGradients(absl::Span<const Batch> packs,
                                                          Collective* collective,
                                                          const WhileBusy& while_busy) {
  return impl_->ComputeGradients(packs, collective, while_busy);
}

absl::Status TrainStep::Prepare(absl::Span<const Batch> packs) { return impl_->Prepare(packs); }

absl::StatusOr<StepGradients> TrainStep::ComputePrepared(Collective* collective,
                                                         const WhileBusy& while_busy) {
  return impl_->ComputePrepared(collective, while_busy);
}

absl::StatusOr<UpdateResult> TrainStep::Apply(const StepGradients& gradients, double progress,
                                              uint64_t step) {
  return impl_->Apply(gradients, progress, step);
}

StepDiagnosis TrainStep::Diagnose() const { return impl_->Diagnose(); }

absl::StatusOr<std::unique_ptr<PackEmbedder>> TrainStep::MakeEmbedder() {
  return impl_->MakeEmbedder();
}

absl::Status TrainStep::ReadState() { return impl_->ReadState(); }
absl::Status TrainStep::ReadGradients() { return impl_->ReadGradients(); }

}  // namespace navit
