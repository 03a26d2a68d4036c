#include "worker/phase_clock.h"

#include <utility>

#include "common/clock.h"

namespace navit {
namespace {

// How METRICS counts a phase: as part of a step, and as what became of the trainer's time.
struct PhaseLabels {
  // Of navit_step_phase_seconds_total; empty: not part of a step.
  const char* step;
  // Of navit_trainer_time_seconds_total.
  const char* time;
};

PhaseLabels LabelsOf(v1::Phase phase) {
  switch (phase) {
    case v1::PHASE_LOAD_STATE:
      return {"", "recovery"};
    case v1::PHASE_DATA_WAIT:
      return {"data_wait", "data_wait"};
    case v1::PHASE_FORWARD:
      return {"forward", "useful"};
    case v1::PHASE_LOSS:
      return {"loss", "useful"};
    case v1::PHASE_BACKWARD:
      return {"backward", "useful"};
    case v1::PHASE_ALL_REDUCE:
      return {"comm_exposed", "useful"};
    case v1::PHASE_OPTIMIZER:
      return {"optimizer", "useful"};
    case v1::PHASE_CHECKPOINT:
      return {"checkpoint", "checkpoint"};
    case v1::PHASE_EVALUATE:
      return {"other", "useful"};
    default:
      return {"", "idle"};
  }
}

}  // namespace

PhaseClock::PhaseClock(TrainerMetrics* metrics)
    : metrics_(metrics), since_(Now()), counted_(since_) {}

absl::Duration PhaseClock::Now() { return Clock::Real()->SteadyNow(); }

void PhaseClock::Enter(v1::Phase phase, uint64_t step, const char* label) {
  std::lock_guard<std::mutex> lock(mutex_);
  Count();
  phase_ = phase;
  step_ = step;
  label_ = label != nullptr ? label : LabelsOf(phase).step;
  since_ = counted_;
}

void PhaseClock::Count() {
  const absl::Duration now = Now();
  const absl::Duration passed = now - counted_;
  counted_ = now;
  metrics_->AddTime(LabelsOf(phase_).time, passed);
  if (!label_.empty()) metrics_->AddPhase(label_, passed);
  if (label_ == "copy" || label_ == "forward" || label_ == "backward") own_work_ += passed;
}

absl::Duration PhaseClock::TakeOwnWork() {
  std::lock_guard<std::mutex> lock(mutex_);
  Count();
  return std::exchange(own_work_, absl::ZeroDuration());
}

void PhaseClock::Fill(v1::TrainerState* state) {
  std::lock_guard<std::mutex> lock(mutex_);
  Count();
  if (state->kind() != v1::TrainerState::RUNNING) return;
  state->set_step(step_);
  state->set_phase(phase_);
  state->set_seconds_in_phase(absl::ToDoubleSeconds(counted_ - since_));
}

}  // namespace navit
