#include "worker/training_run.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/clock.h"
#include "common/job_kind.h"
#include "common/job_spec/validate.h"
#include "common/log.h"
#include "common/status_macros.h"
#include "worker/checkpoint.h"
#include "worker/evaluation_job.h"
#include "worker/gather_step.h"
#include "worker/replica_state.h"
#include "worker/run_device.h"
#include "worker/weights/init_from.h"

namespace navit {
namespace {

absl::Duration Now() { return Clock::Real()->SteadyNow(); }

RunClientOptions ClientOptions(const TrainingRunOptions& options, const TrainerProtocol::Run& run) {
  RunClientOptions client;
  client.worker = options.worker;
  client.job = run.job.job();
  client.generation = run.generation;
  client.grace = absl::Seconds(run.job.spec().timeouts().coordinator_grace_seconds());
  return client;
}

RunPlace PlaceOf(const TrainingRunOptions& options, const TrainerProtocol::Run& run) {
  return {static_cast<int>(run.rank), static_cast<int>(run.members.size()), options.collective_host,
          options.collective_ports};
}

}  // namespace

TrainingRun::TrainingRun(const TrainingRunOptions& options, const TrainerProtocol::Run& run,
                         TrainerModel* model, ProtocolCell* cell, PhaseClock* phases,
                         TrainerMetrics* metrics)
    : options_(options),
      run_(run),
      spec_(run_.job.spec()),
      model_(model),
      cell_(cell),
      phases_(phases),
      metrics_(metrics),
      memory_(OnGpu(spec_) ? options_.accelerator : nullptr),
      client_(options.channel, ClientOptions(options, run)),
      communicator_(MakeCommunicator(spec_, PlaceOf(options_, run_), options_.accelerator)),
      collective_(communicator_.ok() ? communicator_->get() : nullptr) {}

TrainingRun::~TrainingRun() = default;

void TrainingRun::Cancel() {
  cancelled_ = true;
  client_.Cancel();
  if (collective_ != nullptr) collective_->Abort();
  cell_->Wake();
}

void TrainingRun::Drain() {
  draining_ = true;
  cell_->Wake();
}

void TrainingRun::Enter(v1::Phase phase, uint64_t step, const char* label) {
  phases_->Enter(phase, step, label);
  if (options_.on_phase) options_.on_phase(phase, step);
}

absl::Status TrainingRun::Fatal(absl::Status status) {
  fatal_ = true;
  return status;
}

TrainingRun::Outcome TrainingRun::Execute() {
  pool_ =
      std::make_unique<kernels::ThreadPool>(static_cast<int>(spec_.workers().trainers().threads()));
  metrics_->SetRun(run_.job.job(), run_.rank, run_.members.size(),
                   PeakFlops(spec_, pool_.get(), options_.accelerator));
  metrics_->SetModelParameters(model_->table.parameter_count());
  absl::Status status = Main();
  // The others must not wait for a rank that has left. A run that ended well keeps its connections
  // until it is destroyed: a slower rank may still read from them.
  if (!status.ok() && collective_ != nullptr) collective_->Abort();
  // A checkpoint under way is finished only if the generation still is.
  if (!status.ok()) client_.Cancel();
  source_.reset();
  ahead_.reset();
  checkpointer_.reset();
  if (reporter_ != nullptr) reporter_->Stop();
  if (collective_ != nullptr) metrics_->SetTraffic(collective_->traffic());
  KeepState();
  Enter(v1::PHASE_IDLE, current_step_);
  Outcome outcome;
  if (status.ok()) {
    outcome.end = TrainerProtocol::RunEnd::kStopped;
    metrics_->RunEnded("stopped", Now());
    return outcome;
  }
  if (const absl::Status reported = ReportStatus(); !reported.ok()) status = reported;
  outcome.end = fatal_ ? TrainerProtocol::RunEnd::kFatal : TrainerProtocol::RunEnd::kBroken;
  outcome.failure = cancelled_ ? absl::StrCat("run cancelled: ", status.message())
                               : std::string(status.message());
  outcome.bad_checkpoint = bad_checkpoint_;
  metrics_->RunEnded(cancelled_ ? "cancelled" : draining_ ? "draining" : "broken", Now());
  return outcome;
}

absl::Status TrainingRun::Main() {
  const absl::Duration start = Now();
  Enter(v1::PHASE_LOAD_STATE, run_.committed_step, "");
  const absl::StatusOr<TrainStepOptions> options = ResolveTrainStepOptions(spec_, model_->table);
  if (!options.ok()) return Fatal(options.status());
  // No other trainer is chosen for a job that runs again.
  if (!communicator_.ok()) return Fatal(communicator_.status());
  NAVIT_RETURN_IF_ERROR(collective_->Connect(&client_));
  if (IsEvaluationJob(spec_)) return RunEvaluationJob();
  NAVIT_RETURN_IF_ERROR(LoadState());
  NAVIT_RETURN_IF_ERROR(MakeStep(*options));
  if (run_.rank == 0) {
    checkpointer_ = std::make_unique<Checkpointer>(run_.job, run_.generation, run_.members.size(),
                                                   &model_->table, &client_, metrics_);
    // Ends the step loop, whatever it waits for.
    reporter_ = std::make_unique<StepReporter>(run_.generation, cell_, &client_, [this] {
      client_.Cancel();
      collective_->Abort();
    });
  }
  BatchSourceOptions source;
  source.rank = run_.rank;
  source.first_step = run_.committed_step + 1;
  // Two steps of this rank's share, generously.
  source.credit_bytes = std::max<uint64_t>(
      uint64_t{4} << 20, static_cast<uint64_t>(2 * EstimatedStepBytes(spec_) /
                                               std::max<size_t>(1, run_.members.size())));
  source.packers.channel = options_.packers;
  source_ = std::make_unique<BatchSource>(&client_, source);
  metrics_->RunStarted(Now() - start);
  NAVIT_LOG(INFO) << "generation " << run_.generation << " of " << run_.job.job() << ": rank "
                  << run_.rank << " of " << run_.members.size() << ", step " << run_.committed_step;
  return Steps();
}

absl::Status TrainingRun::LoadState() {
  const bool is_source = run_.source_rank == static_cast<int>(run_.rank);
  if (is_source) {
    const bool fits = cell_->Read([&](const TrainerProtocol& protocol) {
      return protocol.has_state() && protocol.applied_step() == run_.committed_step;
    });
    if (!fits) return absl::InternalError("named as source, but without the weights of that step");
  } else {
    cell_->Change([](TrainerProtocol& protocol) { protocol.OnLoading(); });
  }
  if (run_.source_rank >= 0) {
    NAVIT_RETURN_IF_ERROR(
        BroadcastState(run_.source_rank, run_.committed_step, &model_->state, collective_));
  } else if (!run_.checkpoint.empty()) {
    absl::StatusOr<v1::CheckpointManifest> manifest =
        LoadCheckpoint(run_.checkpoint, run_.job, model_->table, &model_->state);
    if (manifest.ok() && manifest->step() != run_.committed_step) {
      manifest =
          absl::DataLossError(absl::StrCat(run_.checkpoint, ": holds step ", manifest->step(),
                                           ", recorded was ", run_.committed_step));
    }
    if (!manifest.ok()) {
      if (absl::IsDataLoss(manifest.status())) bad_checkpoint_ = run_.checkpoint;
      const bool refused = absl::IsFailedPrecondition(manifest.status()) ||
                           absl::IsInvalidArgument(manifest.status()) ||
                           absl::IsNotFound(manifest.status());
      return refused ? Fatal(manifest.status()) : manifest.status();
    }
  } else {
    if (run_.committed_step != 0) {
      return absl::InternalError(
          absl::StrCat("no weights for committed step ", run_.committed_step));
    }
    InitializeState(model_->table, spec_.seed(), &model_->state);
    const absl::Status initialized =
        InitializeFrom(options_.store.get(), spec_.init_from(), model_->table, &model_->state);
    if (!initialized.ok()) {
      return absl::IsUnavailable(initialized) ? initialized : Fatal(initialized);
    }
  }
  NAVIT_RETURN_IF_ERROR(CompareReplicas(run_.committed_step, model_->state, collective_));
  cell_->Change([&](TrainerProtocol& protocol) { protocol.OnLoaded(run_.committed_step); });
  return absl::OkStatus();
}

absl::Status TrainingRun::MakeStep(const TrainStepOptions& options) {
  auto step =
      MakeTrainStep(spec_, model_->table, options, &model_->state, pool_.get(),
                    options_.accelerator, [this](v1::Phase phase) { Enter(phase, current_step_); });
  if (absl::IsUnimplemented(step.status())) return Fatal(step.status());
  NAVIT_RETURN_IF_ERROR(step.status());
  step_ = *std::move(step);
  return absl::OkStatus();
}

absl::Status TrainingRun::ReadState() {
  return step_ == nullptr ? absl::OkStatus() : step_->ReadState();
}

void TrainingRun::KeepState() {
  const absl::Status status =
      state_lost_ ? absl::InternalError("an update failed half-way") : ReadState();
  if (status.ok()) return;
  NAVIT_LOG(WARNING) << "the weights on the device are lost: " << status.message();
  cell_->Change([](TrainerProtocol& protocol) { protocol.OnLoading(); });
}

absl::Status TrainingRun::Steps() {
  // A step lasts from one update to the next: checkpoint and evaluation after step s are part of
  // step s + 1.
  absl::Duration start = Now();
  for (uint64_t step = run_.committed_step + 1;; ++step) {
    Enter(v1::PHASE_DATA_WAIT, step);
    NAVIT_ASSIGN_OR_RETURN(const bool go_on, AwaitStart(step));
    if (!go_on) return Stop(step - 1);
    current_step_ = step;
    LogScope::SetStep(step);
    std::optional<StepInput> input = std::exchange(ahead_, std::nullopt);
    if (!input.has_value()) {
      absl::StatusOr<std::optional<StepPacks>> packs = source_->Next(step);
      NAVIT_RETURN_IF_ERROR(ReportStatus());
      NAVIT_RETURN_IF_ERROR(packs.status());
      if (!packs->has_value()) return Finish(step - 1);
      input.emplace().packs = **std::move(packs);
    }
    const BatchSource::Queued queued = source_->queued();
    metrics_->SetPrefetch(queued.packs, queued.bytes, queued.cap_bytes);
    if (absl::Status status = TrainOn(&*input, start); !status.ok()) {
      metrics_->StepDiscarded(cancelled_ ? "cancelled" : "broken");
      return status;
    }
    start = Now();
    metrics_->SetTraffic(collective_->traffic());
    const bool last = input->packs.deal.last();
    NAVIT_RETURN_IF_ERROR(AfterStep(step, last));
    if (last) return Finish(step);
  }
}

absl::StatusOr<bool> TrainingRun::AwaitStart(uint64_t step) {
  bool start = false;
  cell_->Await([&](const TrainerProtocol& protocol) {
    start = protocol.MayStartStep(step);
    return start || protocol.ShouldStop() || ended() || draining_;
  });
  NAVIT_RETURN_IF_ERROR(ReportStatus());
  if (cancelled_) return absl::CancelledError("told to leave the generation");
  if (draining_) {
    // With nobody else to keep the weights, they go to the disk first.
    if (run_.members.size() == 1 && step > 1) {
      Enter(v1::PHASE_CHECKPOINT, step - 1);
      if (ReadState().ok()) checkpointer_->WriteNow(step - 1, model_->state).IgnoreError();
    }
    return absl::CancelledError("this trainer was told to end");
  }
  return start;
}

void TrainingRun::PrepareAhead(uint64_t step) {
  std::optional<StepPacks> packs = source_->TakeIfHere(step);
  if (!packs.has_value()) return;
  StepInput& input = ahead_.emplace();
  input.packs = *std::move(packs);
  // An error comes again, and is told, when it is the step's turn.
  absl::StatusOr<ParsedPacks> parsed = ParsePacks(input.packs, model_->table.config());
  if (!parsed.ok()) return;
  input.prepared = step_->Prepare(parsed->batches).ok();
  parsed->batches.clear();
  input.parsed = *std::move(parsed);
}

absl::Status TrainingRun::TrainOn(StepInput* input, absl::Duration start) {
  const v1::StepDeal& deal = input->packs.deal;
  if (!input->prepared) {
    Enter(v1::PHASE_DATA_WAIT, deal.step(), "copy");
    absl::StatusOr<ParsedPacks> parsed = ParsePacks(input->packs, model_->table.config());
    if (!parsed.ok()) return Fatal(parsed.status());
    input->parsed = *std::move(parsed);
  }
  const auto while_busy = [this, next = deal.step() + 1] { PrepareAhead(next); };
  const absl::StatusOr<StepGradients> computed =
      input->prepared ? step_->ComputePrepared(collective_, while_busy)
                      : step_->ComputeGradients(input->parsed.batches, collective_, while_busy);
  // Of the model, what has no kernel on the GPU.
  if (absl::IsUnimplemented(computed.status())) return Fatal(computed.status());
  NAVIT_RETURN_IF_ERROR(computed.status());
  const StepGradients& gradients = *computed;
  if (gradients.valid_examples != static_cast<int64_t>(deal.valid_examples())) {
    return absl::InternalError(absl::StrCat("step ", deal.step(), " has ", gradients.valid_examples,
                                            " valid examples, its deal says ",
                                            deal.valid_examples()));
  }
  OwnStep own;
  own.packs = &input->packs;
  own.useful_flops = gradients.useful_flops;
  own.so_far = Now() - start;
  own.own_work = phases_->TakeOwnWork();
  NAVIT_ASSIGN_OR_RETURN(GatheredStep gathered, GatherStep(own, collective_));
  metrics_->SetLag(gathered.lag);
  // The last collective of the step is complete here, and nothing was aborted before it.
  if (!cell_->Read([&](const TrainerProtocol& p) { return p.MayApply(deal.step()); })) {
    return absl::CancelledError("the generation ended before the step was applied");
  }
  const absl::StatusOr<UpdateResult> applied =
      step_->Apply(gradients, deal.progress(), deal.step());
  state_lost_ = !applied.ok();
  NAVIT_RETURN_IF_ERROR(applied.status());
  const UpdateResult& update = *applied;
  v1::StepReport& report = gathered.report;
  report.set_generation(run_.generation);
  report.set_loss(static_cast<float>(gradients.loss));
  report.set_grad_norm(static_cast<float>(update.gradient_norm));
  report.set_learning_rate(static_cast<float>(update.learning_rate));
  report.set_logit_scale(static_cast<float>(gradients.logit_scale));
  report.set_skipped(update.skipped || gradients.valid_examples == 0);
  cell_->Change([&](TrainerProtocol& protocol) { protocol.OnStepApplied(report); });
  const ParsedPacks& parsed = input->parsed;
  metrics_->StepApplied(Now() - start, parsed.examples, parsed.image_tokens, parsed.text_tokens,
                        gradients.useful_flops);
  if (OnGpu(spec_)) {
    NAVIT_ASSIGN_OR_RETURN(const Device::Memory memory, options_.accelerator->gpu.device->memory());
    metrics_->SetDeviceMemory({.total = memory.total_bytes,
                               .used = memory.total_bytes - memory.free_bytes,
                               .arena_reserved = memory.arena_reserved_bytes,
                               .arena_used = memory.arena_used_bytes});
  }
  WatchLoss(deal.step(), gradients);
  if (update.skipped && gradients.valid_examples > 0) {
    metrics_->NonFinite();
    NAVIT_LOG(WARNING) << "step " << deal.step() << " skipped: the gradient is not finite";
    const v1::BudgetsSpec& budgets = spec_.budgets();
    // A job of before the field has none.
    if (++nonfinite_ >= (budgets.has_nonfinite_steps() ? budgets.nonfinite_steps() : 10)) {
      return Fatal(absl::FailedPreconditionError(absl::StrCat(
          nonfinite_, " steps in a row, up to step ", deal.step(), ", had no finite gradient")));
    }
  } else {
    nonfinite_ = 0;
  }
  return absl::OkStatus();
}

void TrainingRun::WatchLoss(uint64_t step, const StepGradients& gradients) {
  if (run_.rank != 0 || model_->table.config().loss != v1::LossSpec::SOFTMAX) return;
  if (!stuck_loss_.Observe(gradients.loss, gradients.valid_examples)) return;
  metrics_->LossStuck();
  if (!step_->ReadGradients().ok()) return;  // The next step says what of the device broke.
  const StuckLossText text = DescribeStuckLoss(step, gradients, step_->Diagnose(), model_->table,
                                               model_->state.gradients.data());
  NAVIT_LOG(WARNING) << text.summary << "; " << text.details;
  v1::ReportEventRequest event;
  event.set_step(step);
  event.set_warning(text.summary);
  // It stands in the log; training goes on whether or not the coordinator takes it.
  client_.ReportEvent(std::move(event)).IgnoreError();
}

absl::Status TrainingRun::AfterStep(uint64_t step, bool last) {
  if (step % options_.compare_every_steps == 0) {
    NAVIT_RETURN_IF_ERROR(ReadState());
    NAVIT_RETURN_IF_ERROR(CompareReplicas(step, model_->state, collective_));
  }
  if (last) return absl::OkStatus();
  if (checkpointer_ != nullptr) {
    Enter(v1::PHASE_CHECKPOINT, step);
    if (checkpointer_->IsDue(step)) {
      NAVIT_RETURN_IF_ERROR(ReadState());
      checkpointer_->Begin(step, model_->state);
    }
  }
  const uint32_t every = spec_.evaluation().every_steps();
  if (every > 0 && step % every == 0) return Evaluate(/*trained_pairs=*/false, step);
  return absl::OkStatus();
}

EvaluationArgs TrainingRun::EvaluationOf(uint64_t step, PackEmbedder* embedder) {
  EvaluationArgs args;
  args.spec = &spec_;
  args.step = step;
  args.table = &model_->table;
  args.embedder = embedder;
  args.pool = pool_.get();
  args.collective = collective_;
  args.client = &client_;
  return args;
}

absl::Status TrainingRun::Evaluate(bool trained_pairs, uint64_t step) {
  if (spec_.data().validation_size() == 0 && !trained_pairs) return absl::OkStatus();
  v1::ReportEventRequest event;
  event.set_step(step);
  Enter(v1::PHASE_EVALUATE, step);
  NAVIT_ASSIGN_OR_RETURN(const std::unique_ptr<PackEmbedder> embedder, step_->MakeEmbedder());
  const EvaluationArgs args = EvaluationOf(step, embedder.get());
  if (spec_.data().validation_size() > 0) {
    NAVIT_RETURN_IF_ERROR(EvaluateTasks(args, event.mutable_scores()));
  }
  if (trained_pairs) {
    Enter(v1::PHASE_EVALUATE, step);
    NAVIT_RETURN_IF_ERROR(EvaluateTrainedPairs(args, event.mutable_scores()));
  }
  if (event.scores().scores_size() == 0) return absl::OkStatus();
  if (checkpointer_ != nullptr) checkpointer_->SetScores(step, event.scores());
  return client_.ReportEvent(std::move(event));
}

absl::Status TrainingRun::RunEvaluationJob() {
  cell_->Change([](TrainerProtocol& protocol) { protocol.OnLoading(); });
  const absl::StatusOr<v1::CheckpointManifest> manifest =
      LoadForEvaluation(spec_.evaluation().checkpoint(), spec_, model_->table, &model_->state);
  // There is no other checkpoint to fall back on.
  if (!manifest.ok()) {
    return absl::IsUnavailable(manifest.status()) ? manifest.status() : Fatal(manifest.status());
  }
  StartAverage(&model_->state);
  NAVIT_RETURN_IF_ERROR(CompareReplicas(manifest->step(), model_->state, collective_));
  cell_->Change([&](TrainerProtocol& protocol) { protocol.OnLoaded(run_.committed_step); });
  current_step_ = manifest->step();
  Enter(v1::PHASE_EVALUATE, current_step_);
  const auto embedder = MakeEmbedder(spec_, model_->table, model_->state.evaluated().data(),
                                     pool_.get(), options_.accelerator);
  if (absl::IsUnimplemented(embedder.status())) return Fatal(embedder.status());
  NAVIT_RETURN_IF_ERROR(embedder.status());
  return EvaluateCheckpoint(EvaluationOf(current_step_, embedder->get()));
}

absl::Status TrainingRun::Finish(uint64_t step) {
  NAVIT_RETURN_IF_ERROR(Evaluate(spec_.evaluation().trained_pairs(), step));
  if (run_.rank != 0) return absl::OkStatus();
  Enter(v1::PHASE_CHECKPOINT, step);
  NAVIT_RETURN_IF_ERROR(ReadState());
  NAVIT_RETURN_IF_ERROR(checkpointer_->WriteNow(step, model_->state));
  return AwaitAcknowledged();
}

absl::Status TrainingRun::Stop(uint64_t step) {
  if (run_.rank != 0) return absl::OkStatus();
  if (cell_->Read([](const TrainerProtocol& p) { return p.checkpoint_on_stop(); })) {
    Enter(v1::PHASE_CHECKPOINT, step);
    NAVIT_RETURN_IF_ERROR(ReadState());
    NAVIT_RETURN_IF_ERROR(checkpointer_->WriteNow(step, model_->state));
  }
  return AwaitAcknowledged();
}

absl::Status TrainingRun::AwaitAcknowledged() {
  cell_->Await([&](const TrainerProtocol& protocol) {
    return protocol.unacknowledged().empty() || ended();
  });
  NAVIT_RETURN_IF_ERROR(ReportStatus());
  if (cancelled_) return absl::CancelledError("told to leave the generation");
  return absl::OkStatus();
}

absl::Status TrainingRun::ReportStatus() const {
  return reporter_ == nullptr ? absl::OkStatus() : reporter_->status();
}

}  // namespace navit
