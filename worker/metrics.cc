#include "worker/metrics.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
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

constexpr absl::Duration kKeepEnded = absl::Minutes(15);

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
      device_memory_(
          BuildGauge()
              .Name("navit_device_memory_bytes")
              .Help("Memory of this rank's GPU after the last step: total, used, what the "
                    "trainer's arena holds of it, what of that is in use.")
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

template <typename Metric, typename... Arguments>
Metric& TrainerMetrics::Find(prometheus::Family<Metric>& family, const Labels& more, bool present,
                             const Arguments&... arguments) {
  Labels labels = {{"navit_job", job_}, {"rank", rank_}};
  labels.insert(more.begin(), more.end());
  Metric& metric = family.Add(labels, arguments...);
  RunSeries& series = series_[{job_, rank_}];
  (present ? series.present : series.kept).try_emplace(&metric, [&family, &metric] {
    family.Remove(&metric);
  });
  return metric;
}

prometheus::Counter& TrainerMetrics::Count(prometheus::Family<prometheus::Counter>& family,
                                           const Labels& more) {
  return Find(family, more, false);
}

prometheus::Gauge& TrainerMetrics::Kept(prometheus::Family<prometheus::Gauge>& family) {
  return Find(family, {}, false);
}

prometheus::Gauge& TrainerMetrics::Present(prometheus::Family<prometheus::Gauge>& family,
                                           const Labels& more) {
  return Find(family, more, true);
}

prometheus::Histogram& TrainerMetrics::Times(prometheus::Family<prometheus::Histogram>& family,
                                             const Labels& more) {
  return Find(family, more, false, Seconds());
}

void TrainerMetrics::SetRun(const std::string& job, uint32_t rank, uint32_t world_size,
                            std::optional<double> peak_flops) {
  std::lock_guard<std::mutex> lock(mutex_);
  job_ = job;
  rank_ = absl::StrCat(rank);
  traffic_ = CollectiveTraffic();
  series_[{job_, rank_}].ended_at.reset();
  Present(world_size_).Set(world_size);
  if (peak_flops.has_value()) Present(peak_flops_).Set(*peak_flops);
  Present(lag_).Set(0);
  // Counters start at 0.
  Count(steps_);
  Count(examples_);
  Count(flops_);
  Count(nonfinite_, {{"where", "gradient"}});
  Count(loss_stuck_);
  for (const char* tower : {"image", "text"}) Count(tokens_, {{"tower", tower}});
  for (const char* phase : {"data_wait", "copy", "forward", "loss", "backward", "comm_exposed",
                            "optimizer", "checkpoint", "other"}) {
    Count(phases_, {{"phase", phase}});
  }
  for (const char* reason : {"cancelled", "broken"}) Count(discarded_, {{"reason", reason}});
  for (const char* reason : {"stopped", "cancelled", "draining", "broken"}) {
    Count(reconfigurations_, {{"reason", reason}});
  }
  for (const char* reason : {"no_space", "permission", "refused", "io"}) {
    Count(checkpoint_failures_, {{"reason", reason}});
  }
  for (const char* op : {"all_reduce", "all_gather", "reduce_scatter", "broadcast"}) {
    Count(comm_bytes_, {{"op", op}});
  }
}

void TrainerMetrics::AddPhase(const std::string& phase, absl::Duration duration) {
  std::lock_guard<std::mutex> lock(mutex_);
  Count(phases_, {{"phase", phase}}).Increment(absl::ToDoubleSeconds(duration));
}

void TrainerMetrics::AddTime(const std::string& kind, absl::Duration duration) {
  time_.Add({{"kind", kind}}).Increment(absl::ToDoubleSeconds(duration));
}

void TrainerMetrics::StepApplied(absl::Duration duration, uint64_t examples, uint64_t image_tokens,
                                 uint64_t text_tokens, double useful_flops) {
  std::lock_guard<std::mutex> lock(mutex_);
  Count(steps_).Increment();
  Times(step_duration_).Observe(absl::ToDoubleSeconds(duration));
  Count(examples_).Increment(examples);
  Count(tokens_, {{"tower", "image"}}).Increment(image_tokens);
  Count(tokens_, {{"tower", "text"}}).Increment(text_tokens);
  Count(flops_).Increment(useful_flops);
}

void TrainerMetrics::StepDiscarded(const std::string& reason) {
  std::lock_guard<std::mutex> lock(mutex_);
  Count(discarded_, {{"reason", reason}}).Increment();
}

void TrainerMetrics::NonFinite() {
  std::lock_guard<std::mutex> lock(mutex_);
  Count(nonfinite_, {{"where", "gradient"}}).Increment();
}

void TrainerMetrics::LossStuck() {
  std::lock_guard<std::mutex> lock(mutex_);
  Count(loss_stuck_).Increment();
}

void TrainerMetrics::SetModelParameters(size_t parameters) {
  std::lock_guard<std::mutex> lock(mutex_);
  Kept(parameters_).Set(static_cast<double>(parameters));
}

void TrainerMetrics::SetLag(absl::Duration lag) {
  std::lock_guard<std::mutex> lock(mutex_);
  Present(lag_).Set(absl::ToDoubleSeconds(lag));
}

void TrainerMetrics::SetPrefetch(size_t packs, uint64_t bytes, uint64_t cap_bytes) {
  std::lock_guard<std::mutex> lock(mutex_);
  Present(prefetch_packs_).Set(static_cast<double>(packs));
  Present(prefetch_bytes_).Set(static_cast<double>(bytes));
  Present(prefetch_cap_bytes_).Set(static_cast<double>(cap_bytes));
}

void TrainerMetrics::SetDeviceMemory(const DeviceMemory& memory) {
  std::lock_guard<std::mutex> lock(mutex_);
  const auto set = [&](const char* kind, size_t bytes) {
    Present(device_memory_, {{"kind", kind}}).Set(static_cast<double>(bytes));
  };
  set("total", memory.total);
  set("used", memory.used);
  set("arena_reserved", memory.arena_reserved);
  set("arena_used", memory.arena_used);
}

void TrainerMetrics::SetTraffic(const CollectiveTraffic& traffic) {
  std::lock_guard<std::mutex> lock(mutex_);
  const auto add = [&](const char* op, uint64_t now, uint64_t before) {
    Count(comm_bytes_, {{"op", op}}).Increment(now - before);
  };
  add("all_reduce", traffic.all_reduce_bytes, traffic_.all_reduce_bytes);
  add("all_gather", traffic.all_gather_bytes, traffic_.all_gather_bytes);
  add("reduce_scatter", traffic.reduce_scatter_bytes, traffic_.reduce_scatter_bytes);
  add("broadcast", traffic.broadcast_bytes, traffic_.broadcast_bytes);
  traffic_ = traffic;
}

void TrainerMetrics::RunStarted(absl::Duration recovery) {
  std::lock_guard<std::mutex> lock(mutex_);
  Times(recovery_duration_).Observe(absl::ToDoubleSeconds(recovery));
}

void TrainerMetrics::RunEnded(const std::string& reason, absl::Duration now) {
  std::lock_guard<std::mutex> lock(mutex_);
  Count(reconfigurations_, {{"reason", reason}}).Increment();
  RunSeries& series = series_[{job_, rank_}];
  series.ended_at = now;
  for (const auto& [address, remove] : series.present) remove();
  series.present.clear();
}

void TrainerMetrics::ForgetEnded(absl::Duration now) {
  std::lock_guard<std::mutex> lock(mutex_);
  for (auto run = series_.begin(); run != series_.end();) {
    const RunSeries& series = run->second;
    if (!series.ended_at.has_value() || now - *series.ended_at < kKeepEnded) {
      ++run;
      continue;
    }
    for (const auto& [address, remove] : series.kept) remove();
    run = series_.erase(run);
  }
}

void TrainerMetrics::CheckpointPhase(const std::string& phase, absl::Duration duration) {
  std::lock_guard<std::mutex> lock(mutex_);
  Times(checkpoint_duration_, {{"phase", phase}}).Observe(absl::ToDoubleSeconds(duration));
}

void TrainerMetrics::CheckpointWritten(uint64_t bytes, absl::Time now) {
  std::lock_guard<std::mutex> lock(mutex_);
  Kept(checkpoint_bytes_).Set(bytes);
  Kept(checkpoint_success_).Set(absl::ToDoubleSeconds(now - absl::UnixEpoch()));
}

void TrainerMetrics::CheckpointFailed(const std::string& reason) {
  std::lock_guard<std::mutex> lock(mutex_);
  Count(checkpoint_failures_, {{"reason", reason}}).Increment();
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

}  // namespace navit
