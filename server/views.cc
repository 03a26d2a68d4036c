#include "server/views.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "common/status_macros.h"
#include "common/step_curve.h"
#include "common/version.h"
#include "server/telemetry/verdict.h"

namespace navit {
namespace {

constexpr int kMaxJobs = 200;
constexpr int kMaxWorkers = 500;

bool Finished(v1::JobState state) {
  return state == v1::SUCCEEDED || state == v1::FAILED || state == v1::CANCELLED;
}

v1::Overview::JobLine LineOf(const v1::Job& job) {
  v1::Overview::JobLine line;
  line.set_name(job.name());
  line.set_state(job.state());
  line.set_reason(job.reason());
  line.set_step(job.committed_step());
  line.set_total_steps(job.total_steps());
  line.set_progress(job.progress());
  line.set_submitted_seconds(job.submitted_seconds());
  line.set_started_seconds(job.started_seconds());
  line.set_finished_seconds(job.finished_seconds());
  if (job.has_last_step()) {
    const v1::StepReport& step = job.last_step();
    v1::Overview::JobLine::Newest* newest = line.mutable_newest();
    newest->set_loss(step.loss());
    if (step.seconds() > 0) {
      newest->set_tokens_per_second(UsefulTokens(step) / step.seconds());
      newest->set_examples_per_second(static_cast<double>(step.valid_examples()) / step.seconds());
    }
  }
  if (job.capacity_tokens() > 0) {
    line.set_fill(static_cast<double>(job.image_tokens()) /
                  static_cast<double>(job.capacity_tokens()));
  }
  line.set_trainers(static_cast<uint32_t>(job.trainers_size()));
  line.set_recoveries(job.recoveries());
  line.set_shards_indexed(job.shards_indexed());
  line.set_shards_total(job.shards_total());
  line.set_samples_seen(job.samples_seen());
  line.set_holes(job.holes());
  line.set_last_checkpoint(job.last_checkpoint());
  return line;
}

v1::Verdict VerdictOf(const v1::Job& job, const CoordinatorGauges& gauges, v1::JobRates rates) {
  VerdictInput input;
  input.running = job.state() == v1::RUNNING;
  input.rates = std::move(rates);
  input.packs_per_step = job.spec().packing().sequences_per_step();
  input.max_packers = job.spec().workers().packers().max();
  input.max_trainers = job.spec().workers().trainers().max();
  if (const auto relay = gauges.relay.find(job.name()); relay != gauges.relay.end()) {
    input.relay_packs = relay->second.present_packs;
    input.relay_bytes = relay->second.present_bytes;
    input.relay_budget_bytes = relay->second.budget_bytes;
  }
  return DecideVerdict(input);
}

}  // namespace

absl::StatusOr<v1::TelemetryReply> TelemetryOf(const std::string& job, CoordinatorHost* host,
                                               const TelemetryBook& telemetry) {
  absl::StatusOr<v1::Job> found;
  CoordinatorGauges gauges;
  double unix_now = 0;
  host->Call([&](Coordinator& core, PackBytes&, Instant now) {
    found = core.Get(job);
    gauges = core.gauges(now);
    unix_now = now.unix_time;
    return 0;
  });
  NAVIT_RETURN_IF_ERROR(found.status());
  v1::TelemetryReply reply;
  *reply.mutable_telemetry() = telemetry.Job(job, unix_now);
  *reply.mutable_verdict() = VerdictOf(*found, gauges, reply.telemetry().rates());
  return reply;
}

v1::Overview OverviewOf(CoordinatorHost* host) {
  v1::Overview overview;
  v1::ListReply jobs;
  v1::ListWorkersReply workers;
  host->Call([&](Coordinator& core, PackBytes&, Instant now) {
    jobs = core.List();
    workers = core.ListWorkers(now);
    overview.set_now_seconds(now.unix_time);
    overview.set_incarnation(core.incarnation());
    return 0;
  });
  overview.set_version(Version());
  overview.set_jobs_total(static_cast<uint64_t>(jobs.jobs_size()));
  std::vector<const v1::Job*> order;
  for (const v1::Job& job : jobs.jobs()) order.push_back(&job);
  std::sort(order.begin(), order.end(), [](const v1::Job* a, const v1::Job* b) {
    if (Finished(a->state()) != Finished(b->state())) return Finished(b->state());
    return a->submitted_seconds() > b->submitted_seconds();
  });
  if (order.size() > kMaxJobs) order.resize(kMaxJobs);
  for (const v1::Job* job : order) *overview.add_jobs() = LineOf(*job);
  overview.set_workers_total(static_cast<uint64_t>(workers.workers_size()));
  while (workers.workers_size() > kMaxWorkers) workers.mutable_workers()->RemoveLast();
  overview.mutable_workers()->Swap(workers.mutable_workers());
  return overview;
}

absl::StatusOr<v1::JobPage> JobPageOf(const std::string& job, CoordinatorHost* host,
                                      const TelemetryBook& telemetry) {
  v1::JobPage page;
  absl::StatusOr<v1::Job> found;
  absl::StatusOr<v1::ExplainReply> why;
  absl::StatusOr<v1::HistoryReply> scores;
  CoordinatorGauges gauges;
  host->Call([&](Coordinator& core, PackBytes&, Instant now) {
    found = core.Get(job);
    why = core.Explain(job, now);
    v1::HistoryRequest scores_only;
    scores_only.set_name(job);
    scores_only.set_first_step(UINT64_MAX);
    scores = core.History(scores_only);
    gauges = core.gauges(now);
    page.set_now_seconds(now.unix_time);
    page.set_incarnation(core.incarnation());
    return 0;
  });
  NAVIT_RETURN_IF_ERROR(found.status());
  NAVIT_RETURN_IF_ERROR(why.status());
  NAVIT_RETURN_IF_ERROR(scores.status());
  *page.mutable_job() = LineOf(*found);
  page.mutable_why()->Swap(why->mutable_lines());
  constexpr int kMaxEvaluations = 500;
  const int first = std::max(0, scores->scores_size() - kMaxEvaluations);
  for (int i = first; i < scores->scores_size(); ++i) {
    *page.add_scores() = std::move(*scores->mutable_scores(i));
  }
  *page.mutable_telemetry() = telemetry.Job(job, page.now_seconds());
  *page.mutable_verdict() = VerdictOf(*found, gauges, page.telemetry().rates());
  return page;
}

}  // namespace navit
