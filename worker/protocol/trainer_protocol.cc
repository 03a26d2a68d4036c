#include "worker/protocol/trainer_protocol.h"

#include <tuple>

namespace navit {

void TrainerProtocol::OnDirective(const v1::Directive& directive) {
  fenced_ = fenced_ || directive.fenced();
  if (std::make_tuple(directive.coordinator_incarnation(), directive.version()) <
      std::make_tuple(coordinator_incarnation_, directive_version_)) {
    return;
  }
  coordinator_incarnation_ = directive.coordinator_incarnation();
  directive_version_ = directive.version();
  wanted_ = directive.trainer();
  if (wanted_.kind() == v1::TrainerDirective::RUN && run_.generation == wanted_.generation() &&
      SameJob(wanted_.job())) {
    stop_after_step_ = wanted_.stop_after_step();
    checkpoint_on_stop_ = wanted_.checkpoint_on_stop();
    ForgetReports(wanted_.durable_step());
    MaybeStopped();
  }
  MaybeJoin();
}

TrainerProtocol::Todo TrainerProtocol::todo() const {
  if (fenced_) return Todo::kExit;
  if (wanted_.kind() == v1::TrainerDirective::KIND_UNSPECIFIED) return Todo::kNothing;
  if (in_run_) return RunIsWanted() ? Todo::kNothing : Todo::kStopRun;
  if (kind_ == v1::TrainerState::IDLE) return Todo::kNothing;
  if (wanted_.kind() == v1::TrainerDirective::RELEASE || !SameJob(wanted_.job())) {
    return Todo::kDropState;
  }
  if (wanted_.kind() == v1::TrainerDirective::RUN && kind_ == v1::TrainerState::JOINED &&
      generation_ == wanted_.generation()) {
    return Todo::kStartRun;
  }
  return Todo::kNothing;
}

void TrainerProtocol::OnRunStarted() {
  if (todo() != Todo::kStartRun) return;
  in_run_ = true;
  loaded_ = false;
  kind_ = v1::TrainerState::RUNNING;
  // The event that opened the generation holds all records up to committed_step.
  unacknowledged_.clear();
  if (static_cast<int>(run_.rank) == run_.source_rank) state_generation_ = generation_;
}

void TrainerProtocol::OnLoading() { has_state_ = false; }

void TrainerProtocol::OnLoaded(uint64_t applied_step) {
  if (!in_run_) return;
  has_state_ = true;
  loaded_ = true;
  applied_step_ = applied_step;
  state_generation_ = run_.generation;
}

bool TrainerProtocol::ShouldStop() const {
  // A rank that is past the step already goes on: then no rank can have stopped there, and the
  // coordinator will name a later one.
  return in_run_ && loaded_ && stop_after_step_ != 0 && applied_step_ == stop_after_step_;
}

bool TrainerProtocol::MayStartStep(uint64_t step) const {
  return in_run_ && loaded_ && RunIsWanted() && step == applied_step_ + 1 && !ShouldStop() &&
         unacknowledged_.size() < options_.max_unacknowledged;
}

bool TrainerProtocol::MayApply(uint64_t step) const {
  // Not asked: stop_after_step. The peers may have seen this step complete, so it counts.
  return in_run_ && loaded_ && step == applied_step_ + 1 &&
         (RunIsWanted() || options_.broken_promise);
}

void TrainerProtocol::OnStepApplied(const v1::StepReport& report) {
  applied_step_ = report.step();
  unacknowledged_.push_back(report);
}

void TrainerProtocol::OnRunEnded(RunEnd end, const std::string& failure) {
  if (!in_run_) return;
  in_run_ = false;
  if (kind_ == v1::TrainerState::JOINED) return;  // Only with broken_promise.
  kind_ = end == RunEnd::kStopped ? v1::TrainerState::STOPPED : v1::TrainerState::BROKEN;
  failure_ = end == RunEnd::kStopped ? "" : failure;
  fatal_ = end == RunEnd::kFatal;
  MaybeStopped();
  MaybeJoin();
}

void TrainerProtocol::OnStateDropped() {
  kind_ = v1::TrainerState::IDLE;
  in_run_ = false;
  job_.clear();
  job_uid_ = 0;
  generation_ = 0;
  run_ = Run();
  stop_after_step_ = 0;
  checkpoint_on_stop_ = false;
  has_state_ = false;
  loaded_ = false;
  applied_step_ = 0;
  state_generation_ = 0;
  failure_.clear();
  fatal_ = false;
  unacknowledged_.clear();
  MaybeJoin();
}

void TrainerProtocol::OnReportsAcknowledged(uint64_t generation, uint64_t step) {
  if (generation == run_.generation) ForgetReports(step);
}

v1::TrainerState TrainerProtocol::State() const {
  v1::TrainerState state;
  state.set_kind(kind_);
  if (kind_ == v1::TrainerState::IDLE) return state;
  state.set_job(job_);
  state.set_job_uid(job_uid_);
  state.set_generation(generation_);
  state.set_applied_step(applied_step_);
  state.set_has_state(has_state_);
  state.set_state_generation(state_generation_);
  if (kind_ == v1::TrainerState::BROKEN) {
    state.set_failure(failure_);
    state.set_fatal(fatal_);
  }
  if (kind_ != v1::TrainerState::RUNNING) {
    for (const v1::StepReport& report : unacknowledged_) *state.add_unacknowledged() = report;
  }
  return state;
}

bool TrainerProtocol::SameJob(const v1::JobData& job) const {
  return job_ == job.job() && job_uid_ == job.job_uid();
}

bool TrainerProtocol::RunIsWanted() const {
  return wanted_.kind() == v1::TrainerDirective::RUN && SameJob(wanted_.job()) &&
         run_.generation == wanted_.generation();
}

void TrainerProtocol::MaybeJoin() {
  const bool prepare = wanted_.kind() == v1::TrainerDirective::PREPARE;
  const bool run = wanted_.kind() == v1::TrainerDirective::RUN;
  if (in_run_ && !(prepare && options_.broken_promise)) return;
  if (kind_ != v1::TrainerState::IDLE && !SameJob(wanted_.job())) return;
  if (prepare && wanted_.generation() > generation_) {
    job_ = wanted_.job().job();
    job_uid_ = wanted_.job().job_uid();
    generation_ = wanted_.generation();
    kind_ = v1::TrainerState::JOINED;
    failure_.clear();
    fatal_ = false;
  }
  if (run && kind_ == v1::TrainerState::JOINED && generation_ == wanted_.generation()) {
    run_ = Run();
    run_.job = wanted_.job();
    run_.generation = wanted_.generation();
    run_.rank = wanted_.rank();
    run_.members.assign(wanted_.members().begin(), wanted_.members().end());
    run_.committed_step = wanted_.committed_step();
    run_.source_rank = wanted_.source_rank();
    run_.checkpoint = wanted_.checkpoint();
    stop_after_step_ = wanted_.stop_after_step();
    checkpoint_on_stop_ = wanted_.checkpoint_on_stop();
  }
}

void TrainerProtocol::MaybeStopped() {
  // Rank 0 writes the checkpoint: it has stopped only when it says so itself.
  if (kind_ == v1::TrainerState::BROKEN && !fatal_ && has_state_ && loaded_ &&
      stop_after_step_ != 0 && applied_step_ == stop_after_step_ &&
      (run_.rank != 0 || !checkpoint_on_stop_)) {
    kind_ = v1::TrainerState::STOPPED;
    failure_.clear();
  }
}

void TrainerProtocol::ForgetReports(uint64_t up_to_step) {
  while (!unacknowledged_.empty() && unacknowledged_.front().step() <= up_to_step) {
    unacknowledged_.pop_front();
  }
}

}  // namespace navit
