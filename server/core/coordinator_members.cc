// What the members of an open generation say and report.
#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/job_kind.h"
#include "common/packs_digest.h"
#include "common/status_macros.h"
#include "server/core/coordinator_impl.h"

namespace navit {

// Stopping after a named step S. A rank stops when it has applied exactly S. Safe whatever S is and
// whenever a rank hears of it: a rank that stopped at S gave nothing to the all-reduce of S + 1, so
// no rank applies S + 1; and once any rank has applied more than S, no rank has stopped at S. A
// late S is therefore ignored by all ranks, shows in their reports, and is raised here, by a margin
// that doubles; S is never lowered within one incarnation.
void Coordinator::Impl::SetStop(const JobState& job, JobRuntime::StopPurpose purpose) {
  JobRuntime& runtime = runtimes_[job.name()];
  uint64_t applied = job.committed_step();
  for (const auto& slot : runtime.slots) {
    const WorkerEntry* worker = slot.has_value() ? workers_.Find(slot->member.name) : nullptr;
    if (worker == nullptr || worker->incarnation() != slot->member.incarnation) continue;
    const v1::TrainerState& trainer = worker->report.trainer();
    if (trainer.has_state() && trainer.job_uid() == job.uid() &&
        trainer.generation() == job.generation()) {
      applied = std::max(applied, trainer.applied_step());
    }
  }
  if (runtime.stop_purpose == JobRuntime::StopPurpose::kNone) runtime.stop_margin = 2;
  runtime.stop_purpose = purpose;
  if (runtime.stop_after_step == 0) {
    runtime.stop_after_step = applied + runtime.stop_margin;
    Changed(job.name());
  } else if (applied > runtime.stop_after_step) {
    runtime.stop_margin *= 2;
    runtime.stop_after_step = applied + runtime.stop_margin;
    Changed(job.name());
  }
}

void Coordinator::Impl::WatchGeneration(const JobState& job, Instant now) {
  JobRuntime& runtime = runtimes_[job.name()];
  const double away = std::max<double>(options_.heartbeat_timeout_seconds,
                                       job.spec().timeouts().heartbeat_seconds());
  std::string broken;
  bool draining = false;
  size_t stopped = 0;
  for (size_t rank = 0; rank < runtime.slots.size(); ++rank) {
    const Member& member = runtime.slots[rank]->member;
    const std::string who = absl::StrCat("rank ", rank, " (", member.name, ")");
    const WorkerEntry* worker = workers_.Find(member.name);
    if (worker == nullptr) {
      if (now.steady - started_at_ > away) broken = absl::StrCat(who, " is gone");
      continue;
    }
    if (worker->incarnation() != member.incarnation) {
      broken = absl::StrCat(who, " was restarted");
      continue;
    }
    if (worker->lost) {
      broken = absl::StrCat(who, " is lost: no heartbeat");
      continue;
    }
    draining = draining || worker->draining();
    if (!worker->report.has_worker()) continue;  // Registered anew, has not said anything yet.
    const v1::TrainerState& trainer = worker->report.trainer();
    const bool here = trainer.job() == job.name() && trainer.job_uid() == job.uid() &&
                      trainer.generation() == job.generation();
    if (!here) {
      broken = absl::StrCat(who, " left the generation");
    } else if (trainer.kind() == v1::TrainerState::BROKEN) {
      if (trainer.fatal()) {
        EndJob(job.name(), EndCause::kTrainer, absl::StrCat(who, ": ", trainer.failure()), now);
        return;
      }
      if (!trainer.bad_checkpoint().empty() &&
          trainer.bad_checkpoint() == job.generation_checkpoint() &&
          runtime.bad_checkpoints.insert(trainer.bad_checkpoint()).second) {
        Log(job.name(), absl::StrCat("checkpoint ", trainer.bad_checkpoint(),
                                     " is damaged and not used any more: ", trainer.failure()));
      }
      // The first failure in the order of ranks; others are often its echo.
      if (broken.empty()) broken = absl::StrCat(who, ": ", trainer.failure());
    } else if (trainer.kind() == v1::TrainerState::STOPPED) {
      ++stopped;
    } else if (trainer.kind() == v1::TrainerState::JOINED &&
               now.steady - runtime.opened_at > options_.join_timeout_seconds) {
      broken = absl::StrCat(who, " did not start generation ", job.generation(), " within ",
                            options_.join_timeout_seconds, " s");
    }
  }

  // Rank 0 does last what has to be done: the final checkpoint, or an EvaluationJob's report. When
  // it has stopped, all is done.
  const WorkerEntry* first = workers_.Find(runtime.slots[0]->member.name);
  const bool first_stopped = first != nullptr && first->live() &&
                             first->incarnation() == runtime.slots[0]->member.incarnation &&
                             first->report.trainer().kind() == v1::TrainerState::STOPPED &&
                             first->report.trainer().job_uid() == job.uid() &&
                             first->report.trainer().generation() == job.generation();
  if (first_stopped) {
    const uint64_t total = job.total_steps();
    if (total != 0 && job.committed_step() == total && job.checkpoint_step() == total) {
      EndJob(job.name(), EndCause::kDone, "", now);
      return;
    }
    if (IsEvaluationJob(job.spec()) && !job.score_history().empty()) {
      EndJob(job.name(), EndCause::kDone, "", now);
      return;
    }
    if (job.state() == v1::PAUSING && job.checkpoint_step() == job.committed_step()) {
      PauseJob(job.name(), "paused by a user", now);
      return;
    }
    if (broken.empty() && runtime.stop_purpose == JobRuntime::StopPurpose::kReopen) {
      broken = draining ? "stopped for a member that drains" : "stopped for the job's changed spec";
    } else if (broken.empty() && stopped == runtime.slots.size()) {
      broken = absl::StrCat("all ranks stopped after step ", job.committed_step(),
                            " without a checkpoint of it");
    }
  }
  if (!broken.empty()) {
    Break(job, broken, now);
    return;
  }
  if (job.state() == v1::PAUSING) {
    SetStop(job, JobRuntime::StopPurpose::kPause);
  } else if (draining || job.generation_is_outdated()) {
    SetStop(job, JobRuntime::StopPurpose::kReopen);
  }
}

absl::Status Coordinator::Impl::CheckMember(const v1::WorkerId& worker, absl::string_view job,
                                            uint64_t generation, const JobState** state,
                                            uint32_t* rank) {
  WorkerEntry* entry = nullptr;
  NAVIT_RETURN_IF_ERROR(CheckWorker(worker, &entry));
  const JobState* found = state_.Find(job);
  if (found == nullptr) return absl::FailedPreconditionError(absl::StrCat("no job ", job));
  const JobRuntime& runtime = runtimes_[found->name()];
  const bool current = (runtime.open && found->generation() == generation) ||
                       options_.broken_rules.accept_stale_generations;
  for (size_t r = 0; current && r < runtime.slots.size(); ++r) {
    if (!runtime.slots[r].has_value()) continue;
    if (runtime.slots[r]->member == Member{entry->name(), entry->incarnation()}) {
      if (state != nullptr) *state = found;
      if (rank != nullptr) *rank = r;
      return absl::OkStatus();
    }
  }
  if (current && options_.broken_rules.accept_stale_generations && state != nullptr) {
    *state = found;
    if (rank != nullptr) *rank = 0;
    return absl::OkStatus();
  }
  ++counters_.stale_writes_rejected["generation"];
  return absl::FailedPreconditionError(absl::StrCat("worker ", entry->name(),
                                                    " is no member of a current generation ",
                                                    generation, " of job ", job));
}

absl::Status Coordinator::Impl::KvSet(const v1::KvSetRequest& request) {
  NAVIT_RETURN_IF_ERROR(
      CheckMember(request.worker(), request.job(), request.generation(), nullptr, nullptr));
  constexpr size_t kMaxValueBytes = 1 << 20;
  constexpr size_t kMaxKeys = 1 << 20;
  JobRuntime& runtime = runtimes_[request.job()];
  if (request.key().empty() || request.key().size() > 4096) {
    return absl::InvalidArgumentError("key: must have 1 to 4096 bytes");
  }
  if (request.value().size() > kMaxValueBytes || runtime.kv.size() >= kMaxKeys) {
    return absl::ResourceExhaustedError("value: at most 1 MiB, and 1048576 keys per generation");
  }
  runtime.kv[request.key()] = request.value();
  Changed();
  return absl::OkStatus();
}

absl::StatusOr<std::optional<v1::KvGetReply>> Coordinator::Impl::KvGet(
    const v1::KvGetRequest& request, std::string* missing) {
  NAVIT_RETURN_IF_ERROR(
      CheckMember(request.worker(), request.job(), request.generation(), nullptr, nullptr));
  const JobRuntime& runtime = runtimes_[request.job()];
  v1::KvGetReply reply;
  for (const std::string& key : request.keys()) {
    auto it = runtime.kv.find(key);
    if (it == runtime.kv.end()) {
      *missing = key;
      return std::optional<v1::KvGetReply>();
    }
    reply.add_values(it->second);
  }
  return std::optional<v1::KvGetReply>(std::move(reply));
}

absl::Status Coordinator::Impl::CheckDigest(const JobState& job, const v1::StepReport& report) {
  const RelayLedger* ledger = runtimes_[job.name()].ledger.get();
  const std::optional<JobState::StepRange> range = job.Step(report.step());
  if (!range.has_value() || ledger == nullptr || !ledger->AllPresent(range->first, range->end) ||
      range->first == range->end) {
    return absl::OkStatus();  // Some of the packs were evicted since: nothing to compare with.
  }
  std::vector<std::pair<uint64_t, uint64_t>> packs;
  for (uint64_t o = range->first; o < range->end; ++o) {
    packs.emplace_back(o, ledger->Cost(o).content_hash);
  }
  if (PacksDigest(std::move(packs)) == report.packs_digest()) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat("step ", report.step(), ": the ranks used other packs than they were dealt"));
}

absl::Status Coordinator::Impl::ReportSteps(const v1::ReportStepsRequest& request, Instant now) {
  const JobState* job = nullptr;
  NAVIT_RETURN_IF_ERROR(
      CheckMember(request.worker(), request.job(), request.generation(), &job, nullptr));
  v1::Event event;
  event.set_job(request.job());
  v1::StepsCommitted* committed = event.mutable_steps_committed();
  committed->set_generation(job->generation());
  uint64_t expected = job->committed_step() + 1;
  for (const v1::StepReport& report : request.steps()) {
    if (report.step() == 0 || !std::isfinite(report.seconds())) {
      return absl::InvalidArgumentError("steps: step must not be 0, seconds must be finite");
    }
    if (report.step() < expected && report.step() <= job->committed_step()) {
      const v1::StepReport& record = job->records()[report.step() - 1];
      // By bits: the loss of a skipped step may be no number, which equals nothing, itself
      // included.
      if (record.SerializeAsString() != report.SerializeAsString()) {
        return absl::AbortedError(
            absl::StrCat("step ", report.step(), " is recorded with other values"));
      }
      continue;
    }
    if (report.step() != expected) {
      return absl::OutOfRangeError(
          absl::StrCat("step ", expected, " is expected, not step ", report.step()));
    }
    if (absl::Status status = CheckDigest(*job, report); !status.ok()) {
      EndJob(request.job(), EndCause::kMismatch, std::string(status.message()), now);
      return status;
    }
    *committed->add_steps() = report;
    ++expected;
  }
  if (committed->steps_size() == 0) return absl::OkStatus();
  double& held_until = runtimes_[request.job()].held_until;
  committed->set_held_seconds(now.steady - held_until);
  counters_.steps_committed += committed->steps_size();
  NAVIT_RETURN_IF_ERROR(Commit(std::move(event), now));
  held_until = now.steady;
  FollowCommit(*job);
  CheckBudgets(*job, now);
  return absl::OkStatus();
}

void Coordinator::Impl::CheckBudgets(const JobState& job, Instant now) {
  const v1::BudgetsSpec& budgets = job.spec().budgets();
  const LineageSums& sums = job.sums();
  const double allowed =
      std::max(10.0, budgets.bad_sample_fraction() * static_cast<double>(sums.samples));
  if (static_cast<double>(sums.holes) > allowed) {
    EndJob(job.name(), EndCause::kBadSamples,
           absl::StrCat(sums.holes, " of ", sums.samples,
                        " samples are bad (budgets.bad_sample_fraction allows ",
                        budgets.bad_sample_fraction(), ", and 10 in all)"),
           now);
    return;
  }
  const bool has_more = job.committed_step() != job.total_steps();
  if (has_more && budgets.max_hours() > 0 && job.held_seconds() > 3600 * budgets.max_hours()) {
    EndJob(job.name(), EndCause::kTime,
           absl::StrFormat("held its trainers for %.2f hours (budgets.max_hours allows %g)",
                           job.held_seconds() / 3600, budgets.max_hours()),
           now);
  }
}

absl::StatusOr<v1::CommitCheckpointReply> Coordinator::Impl::CommitCheckpoint(
    const v1::CommitCheckpointRequest& request, Instant now) {
  const JobState* job = nullptr;
  NAVIT_RETURN_IF_ERROR(
      CheckMember(request.worker(), request.job(), request.generation(), &job, nullptr));
  if (request.path().empty()) return absl::InvalidArgumentError("path: must be present");
  v1::CommitCheckpointReply reply;
  auto removed = [&] {
    for (const std::string& path : job->checkpoints_to_remove()) reply.add_remove(path);
    return reply;
  };
  if (!job->checkpoints().empty() && job->checkpoints().back().path == request.path()) {
    return removed();  // Repeated: its first reply was lost.
  }
  if (request.step() > job->committed_step()) {
    return absl::UnavailableError(absl::StrCat("step ", request.step(),
                                               " is not recorded yet, only ", job->committed_step(),
                                               " steps are"));
  }
  if (request.step() < job->checkpoint_step()) {
    return absl::FailedPreconditionError(
        absl::StrCat("there is a checkpoint of step ", job->checkpoint_step(), " already"));
  }
  v1::Event event;
  event.set_job(request.job());
  v1::CheckpointCommitted* committed = event.mutable_checkpoint_committed();
  committed->set_generation(job->generation());
  committed->set_step(request.step());
  committed->set_path(request.path());
  committed->set_bytes(request.bytes());
  NAVIT_RETURN_IF_ERROR(Commit(std::move(event), now));
  Log(request.job(), absl::StrCat("checkpoint of step ", request.step(), " at ", request.path()));
  Advance(request.job(), now);
  return removed();
}

absl::Status Coordinator::Impl::ReportEvent(const v1::ReportEventRequest& request, Instant now) {
  const JobState* job = nullptr;
  NAVIT_RETURN_IF_ERROR(
      CheckMember(request.worker(), request.job(), request.generation(), &job, nullptr));
  v1::Event event;
  event.set_job(request.job());
  switch (request.event_case()) {
    case v1::ReportEventRequest::kScores:
      event.mutable_scores_recorded()->set_step(request.step());
      *event.mutable_scores_recorded()->mutable_scores() = request.scores();
      break;
    case v1::ReportEventRequest::kCheckpointFailure:
      event.mutable_checkpoint_failed()->set_step(request.step());
      event.mutable_checkpoint_failed()->set_message(request.checkpoint_failure());
      Log(request.job(), absl::StrCat("checkpoint of step ", request.step(),
                                      " failed: ", request.checkpoint_failure()));
      break;
    case v1::ReportEventRequest::kWarning:
      event.mutable_trainer_warned()->set_step(request.step());
      event.mutable_trainer_warned()->set_message(request.warning());
      break;
    default:
      return absl::InvalidArgumentError("event: must be present");
  }
  return Commit(std::move(event), now);
}

}  // namespace navit
