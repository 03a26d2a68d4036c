#include "worker/metrics.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/clock.h"
#include "worker/telemetry.h"

namespace navit {
namespace {

using prometheus::BuildCounter;
using prometheus::BuildGauge;
using prometheus::BuildHistogram;

const std::vector<double>& Seconds() {
  static const auto* buckets = new std::vector<double>{0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,  2.5,
                                                       5,    10,    25,   50,  100,  250, 500};
  return *buckets;
}

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

constexpr const char* kTimeKinds[] = {"useful", "data_wait", "recovery", "checkpoint", "idle"};

}  // namespace

TrainerMetrics::TrainerMetrics()
    : registry_(std::make_shared<prometheus::Registry>()),
      steps_(BuildCounter()
                 .Name("navit_steps_committed_total")
                 .Help("Steps whose update this rank applied.")
                 .Register(*registry_)),
      discarded_(BuildCounter()
                     .Name("navit_steps_discarded_total")
                     .Help("Steps begun and lost with their generation.")
                     .Register(*registry_)),
      examples_(BuildCounter()
                    .Name("navit_examples_total")
                    .Help("Valid examples that this rank trained on.")
                    .Register(*registry_)),
      tokens_(BuildCounter()
                  .Name("navit_tokens_total")
                  .Help("Useful tokens that this rank trained on, by tower.")
                  .Register(*registry_)),
      prefetch_packs_(BuildGauge()
                          .Name("navit_trainer_prefetch_packs")
                          .Help("Packs of later steps that wait on this rank.")
                          .Register(*registry_)),
      prefetch_bytes_(BuildGauge()
                          .Name("navit_trainer_prefetch_bytes")
                          .Help("Bytes of packs of later steps that wait on this rank.")
                          .Register(*registry_)),
      prefetch_cap_bytes_(BuildGauge()
                              .Name("navit_trainer_prefetch_cap_bytes")
                              .Help("Most of them that may wait, if a step is not larger.")
                              .Register(*registry_)),
      step_duration_(BuildHistogram()
                         .Name("navit_step_duration_seconds")
                         .Help("Time from one applied step to the next, data wait included.")
                         .Register(*registry_)),
      phases_(BuildCounter()
                  .Name("navit_step_phase_seconds_total")
                  .Help("Time of this rank by phase of the step.")
                  .Register(*registry_)),
      comm_bytes_(BuildCounter()
                      .Name("navit_comm_bytes_total")
                      .Help("Bytes sent and received in collectives, by operation.")
                      .Register(*registry_)),
      flops_(BuildCounter()
                 .Name("navit_model_flops_total")
                 .Help("Useful floating-point operations of this rank: real tokens only.")
                 .Register(*registry_)),
      nonfinite_(BuildCounter()
                     .Name("navit_nonfinite_total")
                     .Help("Steps skipped because something was not finite.")
                     .Register(*registry_)),
      loss_stuck_(
          BuildCounter()
              .Name("navit_loss_stuck_total")
              .Help("Times that a softmax loss stayed at ln N, that of chance, for 50 steps.")
              .Register(*registry_)),
      parameters_(BuildGauge()
                      .Name("navit_model_parameters")
                      .Help("Trainable numbers of the model.")
                      .Register(*registry_)),
      lag_(BuildGauge()
               .Name("navit_rank_step_lag_seconds")
               .Help("Own work of this rank in the last step beyond that of the quickest rank.")
               .Register(*registry_)),
      peak_flops_(BuildGauge()
                      .Name("navit_device_peak_flops_per_second")
                      .Help("What this rank's device could compute: probed on CPU at the start, of "
                            "a GPU its data sheet's dense bf16; absent where that is not known.")
                      .Register(*registry_)),
      device_memory_(BuildGauge()
                         .Name("navit_device_memory_bytes")
                         .Help("Memory of this rank's GPU after the last step: used, total.")
                         .Register(*registry_)),
      time_(BuildCounter()
                .Name("navit_trainer_time_seconds_total")
                .Help("All time of this process by what became of it.")
                .Register(*registry_)),
      world_size_(BuildGauge()
                      .Name("navit_world_size")
                      .Help("Ranks of the current generation.")
                      .Register(*registry_)),
      reconfigurations_(BuildCounter()
                            .Name("navit_reconfigurations_total")
                            .Help("Generations that ended on this rank, by reason.")
                            .Register(*registry_)),
      recovery_duration_(BuildHistogram()
                             .Name("navit_trainer_recovery_duration_seconds")
                             .Help("From the start of a generation to its first step.")
                             .Register(*registry_)),
      checkpoint_duration_(BuildHistogram()
                               .Name("navit_checkpoint_duration_seconds")
                               .Help("Time of a checkpoint by phase.")
                               .Register(*registry_)),
      checkpoint_bytes_(BuildGauge()
                            .Name("navit_checkpoint_bytes")
                            .Help("Size of the last checkpoint.")
                            .Register(*registry_)),
      checkpoint_failures_(BuildCounter()
                               .Name("navit_checkpoint_failures_total")
                               .Help("Checkpoints that were not written, by reason.")
                               .Register(*registry_)),
      checkpoint_success_(BuildGauge()
                              .Name("navit_checkpoint_last_success_timestamp_seconds")
                              .Help("Unix time at which the last checkpoint was recorded.")
                              .Register(*registry_)) {
  for (const char* kind : kTimeKinds) time_.Add({{"kind", kind}});
}

std::map<std::string, std::string> TrainerMetrics::Labels() const {
  return {{"navit_job", job_}, {"rank", rank_}};
}

std::map<std::string, std::string> TrainerMetrics::Labels(const std::string& key,
                                                          const std::string& value) const {
  return {{"navit_job", job_}, {"rank", rank_}, {key, value}};
}

void TrainerMetrics::SetRun(const std::string& job, uint32_t rank, uint32_t world_size,
                            std::optional<double> peak_flops) {
  std::lock_guard<std::mutex> lock(mutex_);
  job_ = job;
  rank_ = absl::StrCat(rank);
  traffic_ = CollectiveTraffic();
  world_size_.Add(Labels()).Set(world_size);
  if (peak_flops.has_value()) peak_flops_.Add(Labels()).Set(*peak_flops);
  lag_.Add(Labels()).Set(0);
  // Counters start at 0.
  steps_.Add(Labels());
  examples_.Add(Labels());
  flops_.Add(Labels());
  nonfinite_.Add(Labels("where", "gradient"));
  loss_stuck_.Add(Labels());
  for (const char* tower : {"image", "text"}) tokens_.Add(Labels("tower", tower));
  for (const char* phase : {"data_wait", "copy", "forward", "loss", "backward", "comm_exposed",
                            "optimizer", "checkpoint", "other"}) {
    phases_.Add(Labels("phase", phase));
  }
}

void TrainerMetrics::AddPhase(const std::string& phase, absl::Duration duration) {
  std::lock_guard<std::mutex> lock(mutex_);
  phases_.Add(Labels("phase", phase)).Increment(absl::ToDoubleSeconds(duration));
}

void TrainerMetrics::AddTime(const std::string& kind, absl::Duration duration) {
  time_.Add({{"kind", kind}}).Increment(absl::ToDoubleSeconds(duration));
}

void TrainerMetrics::StepApplied(absl::Duration duration, uint64_t examples, uint64_t image_tokens,
                                 uint64_t text_tokens, double useful_flops) {
  std::lock_guard<std::mutex> lock(mutex_);
  steps_.Add(Labels()).Increment();
  step_duration_.Add(Labels(), Seconds()).Observe(absl::ToDoubleSeconds(duration));
  examples_.Add(Labels()).Increment(examples);
  tokens_.Add(Labels("tower", "image")).Increment(image_tokens);
  tokens_.Add(Labels("tower", "text")).Increment(text_tokens);
  flops_.Add(Labels()).Increment(useful_flops);
}

void TrainerMetrics::StepDiscarded(const std::string& reason) {
  std::lock_guard<std::mutex> lock(mutex_);
  discarded_.Add(Labels("reason", reason)).Increment();
}

void TrainerMetrics::NonFinite() {
  std::lock_guard<std::mutex> lock(mutex_);
  nonfinite_.Add(Labels("where", "gradient")).Increment();
}

void TrainerMetrics::LossStuck() {
  std::lock_guard<std::mutex> lock(mutex_);
  loss_stuck_.Add(Labels()).Increment();
}

void TrainerMetrics::SetModelParameters(size_t parameters) {
  std::lock_guard<std::mutex> lock(mutex_);
  parameters_.Add(Labels()).Set(static_cast<double>(parameters));
}

void TrainerMetrics::SetLag(absl::Duration lag) {
  std::lock_guard<std::mutex> lock(mutex_);
  lag_.Add(Labels()).Set(absl::ToDoubleSeconds(lag));
}

void TrainerMetrics::SetPrefetch(size_t packs, uint64_t bytes, uint64_t cap_bytes) {
  std::lock_guard<std::mutex> lock(mutex_);
  prefetch_packs_.Add(Labels()).Set(static_cast<double>(packs));
  prefetch_bytes_.Add(Labels()).Set(static_cast<double>(bytes));
  prefetch_cap_bytes_.Add(Labels()).Set(static_cast<double>(cap_bytes));
}

void TrainerMetrics::SetDeviceMemory(size_t used_bytes, size_t total_bytes) {
  std::lock_guard<std::mutex> lock(mutex_);
  device_memory_.Add(Labels("kind", "used")).Set(static_cast<double>(used_bytes));
  device_memory_.Add(Labels("kind", "total")).Set(static_cast<double>(total_bytes));
}

void TrainerMetrics::SetTraffic(const CollectiveTraffic& traffic) {
  std::lock_guard<std::mutex> lock(mutex_);
  const auto add = [&](const char* op, uint64_t now, uint64_t before) {
    comm_bytes_.Add(Labels("op", op)).Increment(now - before);
  };
  add("all_reduce", traffic.all_reduce_bytes, traffic_.all_reduce_bytes);
  add("all_gather", traffic.all_gather_bytes, traffic_.all_gather_bytes);
  add("reduce_scatter", traffic.reduce_scatter_bytes, traffic_.reduce_scatter_bytes);
  add("broadcast", traffic.broadcast_bytes, traffic_.broadcast_bytes);
  traffic_ = traffic;
}

void TrainerMetrics::RunStarted(absl::Duration recovery) {
  std::lock_guard<std::mutex> lock(mutex_);
  recovery_duration_.Add(Labels(), Seconds()).Observe(absl::ToDoubleSeconds(recovery));
}

void TrainerMetrics::RunEnded(const std::string& reason) {
  std::lock_guard<std::mutex> lock(mutex_);
  reconfigurations_.Add(Labels("reason", reason)).Increment();
}

void TrainerMetrics::CheckpointPhase(const std::string& phase, absl::Duration duration) {
  std::lock_guard<std::mutex> lock(mutex_);
  checkpoint_duration_.Add(Labels("phase", phase), Seconds())
      .Observe(absl::ToDoubleSeconds(duration));
}

void TrainerMetrics::CheckpointWritten(uint64_t bytes, absl::Time now) {
  std::lock_guard<std::mutex> lock(mutex_);
  checkpoint_bytes_.Add(Labels()).Set(bytes);
  checkpoint_success_.Add(Labels()).Set(absl::ToDoubleSeconds(now - absl::UnixEpoch()));
}

void TrainerMetrics::CheckpointFailed(const std::string& reason) {
  std::lock_guard<std::mutex> lock(mutex_);
  checkpoint_failures_.Add(Labels("reason", reason)).Increment();
}

v1::TrainerTelemetry TrainerMetrics::Telemetry() const {
  std::string job, rank;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    job = job_;
    rank = rank_;
  }
  if (job.empty()) return {};
  return TrainerTelemetryOf(registry_->Collect(), job, rank);
}

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
