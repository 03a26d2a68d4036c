#include "server/metrics.h"

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace navit {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<std::pair<std::string, std::string>>;

constexpr double kKeepFinishedSeconds = 15 * 60;

const prometheus::Histogram::BucketBoundaries kSeconds = {
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60};

const char* CodeName(int code) {
  static constexpr const char* kNames[] = {"OK",
                                           "CANCELLED",
                                           "UNKNOWN",
                                           "INVALID_ARGUMENT",
                                           "DEADLINE_EXCEEDED",
                                           "NOT_FOUND",
                                           "ALREADY_EXISTS",
                                           "PERMISSION_DENIED",
                                           "RESOURCE_EXHAUSTED",
                                           "FAILED_PRECONDITION",
                                           "ABORTED",
                                           "OUT_OF_RANGE",
                                           "UNIMPLEMENTED",
                                           "INTERNAL",
                                           "UNAVAILABLE",
                                           "DATA_LOSS",
                                           "UNAUTHENTICATED"};
  return code >= 0 && code < 17 ? kNames[code] : "UNKNOWN";
}

// Families in the order of their first use.
class Families {
 public:
  void Gauge(const char* name, const char* help, const Labels& labels, double value) {
    Add(name, help, MetricType::Gauge, labels).gauge.value = value;
  }
  void Counter(const char* name, const char* help, const Labels& labels, double value) {
    Add(name, help, MetricType::Counter, labels).counter.value = value;
  }
  void Histogram(const char* name, const char* help, const Durations& durations) {
    auto& histogram = Add(name, help, MetricType::Histogram, {}).histogram;
    uint64_t cumulative = 0;
    for (size_t i = 0; i < durations.counts.size(); ++i) {
      cumulative += durations.counts[i];
      const double bound = i < Durations::kBounds.size() ? Durations::kBounds[i]
                                                         : std::numeric_limits<double>::infinity();
      histogram.bucket.push_back({cumulative, bound});
    }
    histogram.sample_count = cumulative;
    histogram.sample_sum = durations.sum_seconds;
  }
  std::vector<MetricFamily> Take() { return std::move(families_); }

 private:
  ClientMetric& Add(const char* name, const char* help, MetricType type, const Labels& labels) {
    const auto [place, fresh] = places_.emplace(name, families_.size());
    if (fresh) families_.push_back({name, help, type, {}});
    ClientMetric& metric = families_[place->second].metric.emplace_back();
    for (const auto& [label, text] : labels) metric.label.push_back({label, text});
    return metric;
  }

  std::vector<MetricFamily> families_;
  std::map<std::string, size_t> places_;
};

std::string StateName(v1::JobState state) {
  return absl::AsciiStrToLower(v1::JobState_Name(state));
}
std::string RoleName(v1::Role role) { return absl::AsciiStrToLower(v1::Role_Name(role)); }

bool Finished(const v1::Job& job) {
  return job.state() == v1::SUCCEEDED || job.state() == v1::FAILED || job.state() == v1::CANCELLED;
}

void AddJob(const v1::Job& job, const CoordinatorGauges& gauges, Families* out) {
  const Labels name = {{"navit_job", job.name()}};
  out->Gauge("navit_step", "Newest committed step.", name,
             static_cast<double>(job.committed_step()));
  out->Gauge("navit_job_progress_ratio", "Progress of train_for.", name, job.progress());
  for (int state = v1::QUEUED; state <= v1::CANCELLED; ++state) {
    out->Gauge("navit_job_state", "1 for the state that the job is in.",
               {{"navit_job", job.name()}, {"state", StateName(static_cast<v1::JobState>(state))}},
               job.state() == state ? 1 : 0);
  }
  if (const auto fill = gauges.planned_fill.find(job.name()); fill != gauges.planned_fill.end()) {
    out->Gauge("navit_job_planned_fill_ratio",
               "Share of the sequences' places that the job's plans fill.", name, fill->second);
  }
  if (job.has_last_step()) {
    const v1::StepReport& step = job.last_step();
    out->Gauge("navit_loss", "Loss of the newest committed step.", name, step.loss());
    out->Gauge("navit_grad_norm", "Global gradient norm before clipping.", name, step.grad_norm());
    out->Gauge("navit_learning_rate", "Learning rate.", name, step.learning_rate());
    out->Gauge("navit_logit_scale", "Scale of the logits.", name, step.logit_scale());
  }
  for (const v1::Scores::Score& score : job.scores().scores()) {
    out->Gauge("navit_eval_score", "Newest score of an evaluation.",
               {{"navit_job", job.name()},
                {"metric", score.metric()},
                {"token_budget", absl::StrCat(score.token_budget())}},
               score.value());
  }
  out->Gauge("navit_index_shards", "Shards of the job's data by state of their index.",
             {{"navit_job", job.name()}, {"state", "indexed"}},
             static_cast<double>(job.shards_indexed()));
  out->Gauge(
      "navit_index_shards", "Shards of the job's data by state of their index.",
      {{"navit_job", job.name()}, {"state", "pending"}},
      static_cast<double>(job.shards_total() - std::min(job.shards_total(), job.shards_indexed())));
  out->Gauge("navit_index_bytes", "Bytes of the job's shards that are indexed.", name,
             static_cast<double>(job.indexed_bytes()));
  out->Gauge("navit_index_remaining_seconds",
             "Until the job's shards are indexed, at the pace of the newest ones; 0: done, or not "
             "known yet.",
             name, job.index_remaining_seconds());
  const bool wants = !Finished(job) && job.state() != v1::PAUSED;
  out->Gauge("navit_packers_desired", "Packers that the job would take.", name,
             wants ? job.spec().workers().packers().max() : 0);
  out->Gauge("navit_trainers_desired", "Trainers that the job would take.", name,
             wants ? job.spec().workers().trainers().max() : 0);
}

void AddCounters(const CoordinatorCounters& counters, Families* out) {
  out->Counter("navit_jobs_submitted_total", "Jobs submitted.", {},
               static_cast<double>(counters.jobs_submitted));
  for (const End& end : kEnds) {
    const auto found = counters.jobs_finished.find(end.cause);
    out->Counter("navit_jobs_finished_total", "Jobs that ended, and why.",
                 {{"outcome", StateName(end.outcome)}, {"reason", end.name}},
                 found == counters.jobs_finished.end() ? 0 : static_cast<double>(found->second));
  }
  out->Histogram("navit_job_queue_wait_duration_seconds",
                 "From a job's submission to its first generation.", counters.queue_wait);
  out->Histogram("navit_job_time_to_first_step_duration_seconds",
                 "From a job's submission to its first committed step.",
                 counters.time_to_first_step);
  out->Counter("navit_leases_expired_total", "Leases that were not renewed in time.", {},
               static_cast<double>(counters.leases_expired));
  const std::pair<const char*, uint64_t> outcomes[] = {{"received", counters.packs_received},
                                                       {"duplicate", counters.packs_duplicate},
                                                       {"evicted", counters.packs_evicted},
                                                       {"hedged", counters.packs_hedged},
                                                       {"direct", counters.packs_direct}};
  for (const auto& [outcome, packs] : outcomes) {
    out->Counter(
        "navit_relay_packs_total",
        "Packs that came, those not wanted (any more), dropped to make room, asked of a second "
        "packer because the first was late, and kept by their packers for trainers to fetch.",
        {{"outcome", outcome}}, static_cast<double>(packs));
  }
  out->Counter("navit_direct_fallbacks_total",
               "Packers whose packs a trainer could not fetch; they came through the relay.", {},
               static_cast<double>(counters.direct_fallbacks));
  for (const v1::Role role : {v1::PACKER, v1::TRAINER}) {
    for (const char* reason : {"heartbeat", "replaced", "join"}) {
      const auto found = counters.workers_lost.find({role, reason});
      out->Counter("navit_workers_lost_total", "Workers that were given up.",
                   {{"role", RoleName(role)}, {"reason", reason}},
                   found == counters.workers_lost.end() ? 0 : static_cast<double>(found->second));
    }
  }
}

void AddStaleWrites(const std::map<std::string, uint64_t>& rejected, Families* out) {
  for (const char* kind : {"lease", "generation", "incarnation", "store"}) {
    const auto found = rejected.find(kind);
    out->Counter("navit_stale_writes_rejected_total",
                 "Writes refused because lease, generation, process or leader was no longer "
                 "current.",
                 {{"kind", kind}},
                 found == rejected.end() ? 0 : static_cast<double>(found->second));
  }
}

void AddGauges(const CoordinatorGauges& gauges, Families* out) {
  for (int state = v1::QUEUED; state <= v1::CANCELLED; ++state) {
    const auto found = gauges.jobs.find(static_cast<v1::JobState>(state));
    out->Gauge("navit_jobs", "Kept jobs by state.",
               {{"state", StateName(static_cast<v1::JobState>(state))}},
               found == gauges.jobs.end() ? 0 : static_cast<double>(found->second));
  }
  for (const v1::Role role : {v1::PACKER, v1::TRAINER}) {
    for (const char* state : {"idle", "busy", "draining", "lost"}) {
      const auto found = gauges.workers.find({role, state});
      out->Gauge("navit_workers", "Known workers.", {{"role", RoleName(role)}, {"state", state}},
                 found == gauges.workers.end() ? 0 : static_cast<double>(found->second));
    }
  }
  for (const char* state : {"indexing", "planning", "window", "evaluation", "audit", "probe"}) {
    const auto found = gauges.leases.find(state);
    out->Gauge("navit_leases", "Leases held by packers.", {{"state", state}},
               found == gauges.leases.end() ? 0 : static_cast<double>(found->second));
  }
  for (const auto& [job, relay] : gauges.relay) {
    out->Gauge("navit_relay_queue_bytes", "Bytes of packs held by the relay.", {{"navit_job", job}},
               static_cast<double>(relay.present_bytes));
    out->Gauge("navit_relay_queue_cap_bytes",
               "Most bytes of packs that the relay may hold for the job: budgets.relay_bytes.",
               {{"navit_job", job}}, static_cast<double>(relay.budget_bytes));
    out->Gauge("navit_relay_queue_packs", "Packs held by the relay.", {{"navit_job", job}},
               static_cast<double>(relay.present_packs));
  }
}

}  // namespace

ServerMetrics::ServerMetrics() : registry_(std::make_shared<prometheus::Registry>()) {
  rpc_duration_ = &prometheus::BuildHistogram()
                       .Name("navit_rpc_duration_seconds")
                       .Help("Duration of calls, streams included.")
                       .Register(*registry_);
  rpc_in_flight_ = &prometheus::BuildGauge()
                        .Name("navit_rpc_in_flight")
                        .Help("Calls that run now, streams included.")
                        .Register(*registry_);
  commit_ = &prometheus::BuildHistogram()
                 .Name("navit_store_commit_duration_seconds")
                 .Help("Durable transactions of the state.")
                 .Register(*registry_)
                 .Add({}, kSeconds);
  auto& relay = prometheus::BuildCounter()
                    .Name("navit_relay_bytes_total")
                    .Help("Bytes of frames that crossed the relay.")
                    .Register(*registry_);
  relay_in_ = &relay.Add({{"direction", "in"}});
  relay_out_ = &relay.Add({{"direction", "out"}});
  recovery_ = &prometheus::BuildGauge()
                   .Name("navit_coordinator_recovery_duration_seconds")
                   .Help("Time from reading the state to serving, at the last start.")
                   .Register(*registry_)
                   .Add({});
  is_leader_ =
      &prometheus::BuildGauge()
           .Name("navit_is_leader")
           .Help("Whether this coordinator leads: writes the state and serves. Else it stands by.")
           .Register(*registry_)
           .Add({});
  leader_transitions_ = &prometheus::BuildCounter()
                             .Name("navit_leader_transitions_total")
                             .Help(
                                 "Changes of leader that this coordinator saw, those to itself "
                                 "among them.")
                             .Register(*registry_)
                             .Add({});
}

void ServerMetrics::RpcBegan(const std::string& method) {
  rpc_in_flight_->Add({{"method", method}}).Increment();
}

void ServerMetrics::RpcEnded(const std::string& method, int code, absl::Duration took) {
  rpc_in_flight_->Add({{"method", method}}).Decrement();
  rpc_duration_->Add({{"method", method}, {"code", CodeName(code)}}, kSeconds)
      .Observe(absl::ToDoubleSeconds(took));
}

std::vector<MetricFamily> CoordinatorMetrics::Collect() const {
  Families families;
  v1::ListReply jobs;
  CoordinatorCounters counters;
  CoordinatorGauges gauges;
  double unix_now = 0;
  host_->Call([&](Coordinator& core, PackBytes&, Instant now) {
    jobs = core.List();
    counters = core.counters();
    gauges = core.gauges(now);
    unix_now = now.unix_time;
    return 0;
  });
  AddGauges(gauges, &families);
  AddCounters(counters, &families);
  counters.stale_writes_rejected["store"] = counted_->store_writes_refused();
  AddStaleWrites(counters.stale_writes_rejected, &families);
  for (const v1::Job& job : jobs.jobs()) {
    if (Finished(job) && unix_now - job.finished_seconds() > kKeepFinishedSeconds) continue;
    AddJob(job, gauges, &families);
  }
  std::vector<MetricFamily> all = families.Take();
  for (MetricFamily& family : counted_->registry()->Collect()) all.push_back(std::move(family));
  return all;
}

std::vector<MetricFamily> StandbyMetrics::Collect() const {
  Families families;
  AddStaleWrites({{"store", counted_->store_writes_refused()}}, &families);
  std::vector<MetricFamily> all = families.Take();
  for (MetricFamily& family : counted_->registry()->Collect()) all.push_back(std::move(family));
  return all;
}

}  // namespace navit
