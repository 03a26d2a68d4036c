// What people see of jobs and workers.
#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/phase_words.h"
#include "common/step_curve.h"
#include "server/core/coordinator_impl.h"

namespace navit {

v1::Job Coordinator::Impl::Describe(const JobState& state) const {
  const JobRuntime& runtime = runtimes_.find(state.name())->second;
  v1::Job job;
  job.set_name(state.name());
  *job.mutable_spec() = state.spec();
  job.set_state(state.state());
  job.set_reason(state.reason().empty() ? runtime.wait_reason : state.reason());
  job.set_submitted_seconds(state.submitted_seconds());
  job.set_started_seconds(state.started_seconds());
  job.set_finished_seconds(state.finished_seconds());
  job.set_committed_step(state.committed_step());
  job.set_total_steps(state.total_steps());
  if (state.committed_step() > 0) {
    const std::optional<JobState::StepRange> range = state.Step(state.committed_step());
    if (range.has_value()) job.set_progress(state.Progress(state.committed_step(), range->end));
    *job.mutable_last_step() = state.records().back();
  }
  job.set_generation(state.generation());
  for (const auto& slot : runtime.slots) {
    if (slot.has_value()) job.add_trainers(slot->member.name);
  }
  job.set_samples_seen(state.sums().samples);
  job.set_holes(state.sums().holes);
  job.set_recoveries(state.recoveries());
  job.set_held_seconds(state.held_seconds());
  if (state.manifest() != nullptr) {
    const uint64_t shards = state.manifest()->train_size() + state.manifest()->validation_size();
    job.set_shards_indexed(shards);
    job.set_shards_total(shards);
    job.set_indexed_bytes(state.data_bytes());
  } else {
    job.set_indexed_bytes(runtime.indexing.indexed_bytes());
    job.set_index_remaining_seconds(runtime.indexing.remaining_seconds());
    job.set_shards_indexed(runtime.indexing.shards_indexed());
    job.set_shards_total(runtime.indexing.shards_total());
  }
  if (!state.checkpoints().empty()) job.set_last_checkpoint(state.checkpoints().back().path);
  job.set_warning(state.warning());
  *job.mutable_scores() = state.scores();
  job.set_image_tokens(state.sums().image_tokens);
  job.set_capacity_tokens(state.sums().capacity_tokens);
  return job;
}

absl::StatusOr<v1::Job> Coordinator::Impl::Get(absl::string_view name) const {
  const JobState* job = state_.Find(name);
  if (job == nullptr) return absl::NotFoundError(absl::StrCat("no job ", name));
  return Describe(*job);
}

v1::ListReply Coordinator::Impl::List() const {
  v1::ListReply reply;
  for (const auto& [name, job] : state_.jobs()) *reply.add_jobs() = Describe(*job);
  return reply;
}

std::string Coordinator::Impl::MissingPacks(const JobState& job) const {
  const JobRuntime& runtime = runtimes_.find(job.name())->second;
  const uint64_t step = job.committed_step() + 1;
  const std::optional<JobState::StepRange> range = job.Step(step);
  if (!range.has_value() || runtime.ledger == nullptr) return "";
  std::map<std::string, uint64_t> owed;
  uint64_t of_nobody = 0;
  for (uint64_t ordinal = range->first; ordinal < range->end; ++ordinal) {
    if (runtime.ledger->Present(ordinal)) continue;
    const std::optional<uint64_t> epoch = runtime.ledger->LeaseOf(ordinal);
    const Lease* lease = epoch.has_value() ? leases_.Find(*epoch) : nullptr;
    if (lease == nullptr) {
      ++of_nobody;
    } else {
      ++owed[lease->holder];
    }
  }
  if (owed.empty() && of_nobody == 0) return "";
  std::string line = absl::StrCat("step ", step, " lacks packs:");
  for (const auto& [packer, packs] : owed) absl::StrAppend(&line, " ", packs, " of ", packer, ",");
  if (of_nobody > 0) absl::StrAppend(&line, " ", of_nobody, " that no packer makes now,");
  line.back() = ';';
  const uint64_t packers = workers_.Live(v1::PACKER).size();
  const uint64_t most = job.spec().workers().packers().max();
  absl::StrAppend(&line, " ", packers, " packers are registered");
  if (packers > most) absl::StrAppend(&line, ", workers.packers.max is ", most);
  return line;
}

absl::StatusOr<v1::ExplainReply> Coordinator::Impl::Explain(absl::string_view name,
                                                            Instant now) const {
  const JobState* job = state_.Find(name);
  if (job == nullptr) return absl::NotFoundError(absl::StrCat("no job ", name));
  const JobRuntime& runtime = runtimes_.find(name)->second;
  v1::ExplainReply reply;
  reply.add_lines(absl::StrCat("job ", name, " is ", StateName(job->state()),
                               job->reason().empty() ? "" : ": ", job->reason()));
  const size_t packers = workers_.Live(v1::PACKER).size();
  const bool gathers = job->state() == v1::STARTING || job->state() == v1::RECOVERING ||
                       (job->state() == v1::PAUSING && !runtime.open);
  if (job->state() == v1::QUEUED || job->state() == v1::INDEXING) {
    if (packers == 0) reply.add_lines("it waits for a packer: none is registered");
    if (job->state() == v1::INDEXING) {
      const double remaining = runtime.indexing.remaining_seconds();
      reply.add_lines(absl::StrCat(
          runtime.indexing.shards_indexed(), " of ", runtime.indexing.shards_total(),
          " shards are indexed",
          remaining > 0 ? absl::StrCat("; about ", std::ceil(remaining), " s to go") : ""));
    }
  } else if (gathers) {
    if (!runtime.wait_reason.empty()) reply.add_lines(runtime.wait_reason);
    for (size_t rank = 0; rank < runtime.slots.size(); ++rank) {
      if (!runtime.slots[rank].has_value()) {
        reply.add_lines(absl::StrCat("rank ", rank, " has no trainer"));
        continue;
      }
      const WorkerEntry* worker = workers_.Find(runtime.slots[rank]->member.name);
      const bool joined = worker != nullptr &&
                          worker->report.trainer().kind() == v1::TrainerState::JOINED &&
                          worker->report.trainer().generation() == job->generation() + 1;
      if (!joined) {
        reply.add_lines(absl::StrCat("rank ", rank, " (", runtime.slots[rank]->member.name,
                                     ") has not joined generation ", job->generation() + 1));
      }
    }
  } else if (runtime.open) {
    reply.add_lines(absl::StrCat("generation ", job->generation(), ", ", runtime.slots.size(),
                                 runtime.slots.size() == 1 ? " rank" : " ranks", ", step ",
                                 job->committed_step()));
    if (std::string missing = MissingPacks(*job); !missing.empty()) {
      reply.add_lines(std::move(missing));
    }
    // The least advanced rank is the one that the others wait for.
    const WorkerEntry* last = nullptr;
    size_t last_rank = 0;
    auto place = [](const WorkerEntry* w) {
      return std::make_pair(w->report.trainer().step(),
                            static_cast<int>(w->report.trainer().phase()));
    };
    for (size_t rank = 0; rank < runtime.slots.size(); ++rank) {
      const WorkerEntry* worker = workers_.Find(runtime.slots[rank]->member.name);
      if (worker != nullptr && (last == nullptr || place(worker) < place(last))) {
        last = worker;
        last_rank = rank;
      }
    }
    if (last != nullptr) {
      reply.add_lines(absl::StrCat("least advanced: rank ", last_rank, " (", last->name(),
                                   "), step ", last->report.trainer().step(), ", ",
                                   PhaseWords(last->report.trainer().phase()), ", heard of ",
                                   static_cast<int64_t>(now.steady - last->last_heard), " s ago"));
    }
  }
  return reply;
}

absl::StatusOr<v1::ListCheckpointsReply> Coordinator::Impl::ListCheckpoints(
    absl::string_view name) const {
  const JobState* job = state_.Find(name);
  if (job == nullptr) return absl::NotFoundError(absl::StrCat("no job ", name));
  v1::ListCheckpointsReply reply;
  for (const CheckpointRecord& checkpoint : job->checkpoints()) {
    v1::ListCheckpointsReply::Checkpoint* out = reply.add_checkpoints();
    out->set_step(checkpoint.step);
    out->set_generation(checkpoint.generation);
    out->set_path(checkpoint.path);
    out->set_bytes(checkpoint.bytes);
    out->set_committed_seconds(checkpoint.committed_seconds);
  }
  return reply;
}

absl::StatusOr<v1::HistoryReply> Coordinator::Impl::History(
    const v1::HistoryRequest& request) const {
  const JobState* job = state_.Find(request.name());
  if (job == nullptr) return absl::NotFoundError(absl::StrCat("no job ", request.name()));
  v1::HistoryReply reply;
  const std::vector<v1::StepReport>& records = job->records();
  const size_t first =
      std::min<uint64_t>(std::max<uint64_t>(request.first_step(), 1) - 1, records.size());
  size_t count = records.size() - first;
  if (request.max_steps() > 0) count = std::min<uint64_t>(count, request.max_steps());
  for (size_t i = first; i < first + count; ++i) *reply.add_steps() = records[i];
  for (const v1::StepScores& scores : job->score_history()) *reply.add_scores() = scores;
  reply.set_committed_step(job->committed_step());
  return reply;
}

absl::StatusOr<v1::Curve> Coordinator::Impl::JobCurve(absl::string_view name, size_t points) const {
  const JobState* job = state_.Find(name);
  if (job == nullptr) return absl::NotFoundError(absl::StrCat("no job ", name));
  return StepCurve(job->records(), points);
}

namespace {

std::string WorkerStateName(const WorkerEntry& worker, bool busy) {
  if (worker.lost) return "lost";
  if (worker.draining()) return "draining";
  return busy ? "busy" : "idle";
}

}  // namespace

v1::ListWorkersReply Coordinator::Impl::ListWorkers(Instant now) const {
  v1::ListWorkersReply reply;
  for (const auto& [name, worker] : workers_.all()) {
    v1::ListWorkersReply::Worker* out = reply.add_workers();
    out->set_name(name);
    out->set_role(worker.role());
    out->set_host(worker.registration.host());
    out->set_version(worker.registration.version());
    out->set_device(worker.registration.device());
    out->set_http_address(worker.registration.http_address());
    std::set<std::string> jobs;
    if (!worker.job.empty()) jobs.insert(worker.job);
    for (uint64_t epoch : leases_.HeldBy(name)) jobs.insert(leases_.Find(epoch)->item.job);
    out->set_state(WorkerStateName(worker, !jobs.empty()));
    jobs.erase("");  // Probes.
    for (const std::string& job : jobs) out->add_jobs(job);
    out->set_seconds_since_heard(now.steady - worker.last_heard);
    out->set_step(worker.report.trainer().step());
    out->set_phase(worker.report.trainer().phase());
  }
  return reply;
}

CoordinatorGauges Coordinator::Impl::Gauges() const {
  CoordinatorGauges gauges;
  for (const auto& [name, job] : state_.jobs()) {
    ++gauges.jobs[job->state()];
    const JobRuntime& runtime = runtimes_.find(name)->second;
    if (runtime.planned_capacity > 0) {
      gauges.planned_fill[name] = static_cast<double>(runtime.planned_tokens) /
                                  static_cast<double>(runtime.planned_capacity);
    }
    if (runtime.ledger == nullptr) continue;
    gauges.relay[name] = {runtime.ledger->present_bytes(), runtime.ledger->present_packs(),
                          runtime.ledger->granted_packs(), runtime.ledger->budget_bytes()};
  }
  for (const auto& [name, worker] : workers_.all()) {
    const bool busy = !worker.job.empty() || !leases_.HeldBy(name).empty();
    ++gauges.workers[{worker.role(), WorkerStateName(worker, busy)}];
  }
  for (const auto& [epoch, lease] : leases_.leases()) {
    const char* kind = "indexing";
    if (lease.item.kind == WorkKind::kAudit) kind = "audit";
    if (lease.item.kind == WorkKind::kProbe) kind = "probe";
    if (lease.item.kind == WorkKind::kWindow) {
      kind = lease.item.split != v1::SPLIT_TRAIN ? "evaluation"
             : lease.finished                    ? "window"
                                                 : "planning";
    }
    ++gauges.leases[kind];
  }
  return gauges;
}

}  // namespace navit
