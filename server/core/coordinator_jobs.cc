// What people ask of jobs.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status_macros.h"
#include "server/core/coordinator_impl.h"
#include "server/core/limits.h"

namespace navit {
namespace {

absl::Status WrongState(const JobState& job, absl::string_view verb) {
  return absl::FailedPreconditionError(
      absl::StrCat("job ", job.name(), " is ", StateName(job.state()), " and cannot be ", verb));
}

}  // namespace

absl::StatusOr<v1::Job> Coordinator::Impl::Submit(const v1::SubmitRequest& request, Instant now) {
  NAVIT_RETURN_IF_ERROR(CheckHealthy());
  const v1::JobSpec& spec = request.spec();
  if (spec.name().empty()) return absl::InvalidArgumentError("name: must be present");
  if (const JobState* job = state_.Find(spec.name()); job != nullptr) {
    if (!request.request_id().empty() && job->HasRequest(request.request_id())) {
      return Describe(*job);
    }
    return absl::AlreadyExistsError(absl::StrCat("there is a job ", spec.name()));
  }
  const uint64_t two_steps = 2 * spec.packing().sequences_per_step() * MaxFrameBytes(spec);
  if (spec.budgets().relay_bytes() < two_steps) {
    return absl::InvalidArgumentError(
        absl::StrCat("budgets.relay_bytes: must hold the packs of two steps, ", two_steps,
                     " bytes, is ", spec.budgets().relay_bytes()));
  }
  v1::Event event;
  event.set_job(spec.name());
  v1::JobSubmitted* submitted = event.mutable_job_submitted();
  submitted->set_request_id(request.request_id());
  *submitted->mutable_spec() = spec;
  submitted->set_job_uid(next_uid_++);
  JobRuntime& runtime = runtimes_[spec.name()] = JobRuntime();
  runtime.waiting_since = now.steady;
  if (const absl::Status stored = Commit(std::move(event), now); !stored.ok()) {
    runtimes_.erase(spec.name());
    return stored;
  }
  ++counters_.jobs_submitted;
  Log(spec.name(), "is queued");
  Advance(spec.name(), now);
  return Get(spec.name());
}

absl::Status Coordinator::Impl::SetState(const std::string& job, v1::JobState state,
                                         const std::string& reason, const std::string& request_id,
                                         Instant now) {
  v1::Event event;
  event.set_job(job);
  v1::JobStateChanged* change = event.mutable_job_state_changed();
  change->set_state(state);
  change->set_reason(reason);
  change->set_request_id(request_id);
  NAVIT_RETURN_IF_ERROR(Commit(std::move(event), now));
  Log(job, absl::StrCat("is ", StateName(state), reason.empty() ? "" : ": ", reason));
  return absl::OkStatus();
}

void Coordinator::Impl::EndJob(const std::string& job, EndCause cause, const std::string& reason,
                               Instant now) {
  if (!SetState(job, EndOf(cause).outcome, reason, "", now).ok()) return;
  ++counters_.jobs_finished[cause];
  LetGo(job);
}

void Coordinator::Impl::PauseJob(const std::string& job, const std::string& reason, Instant now) {
  if (SetState(job, v1::PAUSED, reason, "", now).ok()) LetGo(job);
}

void Coordinator::Impl::LetGo(const std::string& name) {
  JobRuntime& runtime = runtimes_[name];
  for (auto& [worker_name, worker] : workers_.all()) {
    if (worker.job == name) worker.job.clear();
  }
  runtime.slots.clear();
  runtime.open = false;
  runtime.stop_purpose = JobRuntime::StopPurpose::kNone;
  runtime.stop_after_step = 0;
  runtime.wait_reason.clear();
  runtime.kv.clear();
  CloseEvaluations(name);
  for (uint64_t epoch : leases_.OfJob(name)) {
    if (leases_.Find(epoch)->item.kind != WorkKind::kAudit) ReleaseLease(epoch);
  }
  if (runtime.ledger != nullptr) DropOrdinals(*state_.Find(name), runtime.ledger->Clear());
  runtime.ledger = nullptr;
  runtime.plans.clear();
  runtime.failures.clear();
  runtime.packers.clear();
  runtime.indexing = Indexing();
  runtime.evaluation_plans.clear();
  Changed(name);
}

absl::StatusOr<v1::Job> Coordinator::Impl::Cancel(const v1::JobMutation& request, Instant now) {
  NAVIT_RETURN_IF_ERROR(CheckHealthy());
  const JobState* job = state_.Find(request.name());
  if (job == nullptr) return Get(request.name());
  if (!request.request_id().empty() && job->HasRequest(request.request_id())) {
    return Describe(*job);
  }
  if (job->state() == v1::CANCELLING) return Describe(*job);
  if (IsFinal(job->state())) return WrongState(*job, "cancelled");
  NAVIT_RETURN_IF_ERROR(
      SetState(request.name(), v1::CANCELLING, "cancelled by a user", request.request_id(), now));
  LetGo(request.name());
  Advance(request.name(), now);
  return Get(request.name());
}

absl::StatusOr<v1::Job> Coordinator::Impl::Pause(const v1::JobMutation& request, Instant now) {
  NAVIT_RETURN_IF_ERROR(CheckHealthy());
  const JobState* job = state_.Find(request.name());
  if (job == nullptr) return Get(request.name());
  if (!request.request_id().empty() && job->HasRequest(request.request_id())) {
    return Describe(*job);
  }
  switch (job->state()) {
    case v1::PAUSING:
    case v1::PAUSED:
      return Describe(*job);
    case v1::QUEUED:
    case v1::INDEXING:
    case v1::STARTING:
      NAVIT_RETURN_IF_ERROR(
          SetState(request.name(), v1::PAUSED, "paused by a user", request.request_id(), now));
      LetGo(request.name());
      break;
    case v1::RUNNING:
    case v1::RECOVERING:
      NAVIT_RETURN_IF_ERROR(
          SetState(request.name(), v1::PAUSING, "paused by a user", request.request_id(), now));
      if (runtimes_[request.name()].open) SetStop(*job, JobRuntime::StopPurpose::kPause);
      Advance(request.name(), now);
      break;
    default:
      return WrongState(*job, "paused");
  }
  return Get(request.name());
}

absl::StatusOr<v1::Job> Coordinator::Impl::Resume(const v1::JobMutation& request, Instant now) {
  NAVIT_RETURN_IF_ERROR(CheckHealthy());
  const JobState* job = state_.Find(request.name());
  if (job == nullptr) return Get(request.name());
  if (!request.request_id().empty() && job->HasRequest(request.request_id())) {
    return Describe(*job);
  }
  if (job->state() != v1::PAUSED) return WrongState(*job, "resumed");
  runtimes_[request.name()].waiting_since = now.steady;
  NAVIT_RETURN_IF_ERROR(SetState(request.name(),
                                 job->manifest() == nullptr ? v1::QUEUED : v1::STARTING, "",
                                 request.request_id(), now));
  if (job->manifest() != nullptr) FollowCommit(*job);
  Advance(request.name(), now);
  return Get(request.name());
}

absl::StatusOr<v1::Job> Coordinator::Impl::Retry(const v1::JobMutation& request, Instant now) {
  NAVIT_RETURN_IF_ERROR(CheckHealthy());
  const JobState* job = state_.Find(request.name());
  if (job == nullptr) return Get(request.name());
  if (!request.request_id().empty() && job->HasRequest(request.request_id())) {
    return Describe(*job);
  }
  if (job->state() != v1::FAILED && job->state() != v1::CANCELLED) {
    return WrongState(*job, "retried");
  }
  runtimes_[request.name()].waiting_since = now.steady;
  NAVIT_RETURN_IF_ERROR(SetState(request.name(),
                                 job->manifest() == nullptr ? v1::QUEUED : v1::STARTING, "",
                                 request.request_id(), now));
  if (job->manifest() != nullptr) FollowCommit(*job);
  Advance(request.name(), now);
  return Get(request.name());
}

absl::StatusOr<v1::Job> Coordinator::Impl::Update(const v1::UpdateRequest& request,
                                                  const v1::JobSpec& spec, Instant now) {
  NAVIT_RETURN_IF_ERROR(CheckHealthy());
  const JobState* job = state_.Find(request.name());
  if (job == nullptr) return Get(request.name());
  if (!request.request_id().empty() && job->HasRequest(request.request_id())) {
    return Describe(*job);
  }
  if (spec.SerializeAsString() == job->spec().SerializeAsString()) return Describe(*job);
  v1::Event event;
  event.set_job(request.name());
  event.mutable_spec_updated()->set_request_id(request.request_id());
  *event.mutable_spec_updated()->mutable_spec() = spec;
  NAVIT_RETURN_IF_ERROR(Commit(std::move(event), now));
  Log(request.name(), absl::StrCat("is updated: ", absl::StrJoin(request.assignments(), ", ")));
  Changed(request.name());
  Advance(request.name(), now);
  return Get(request.name());
}

absl::Status Coordinator::Impl::Delete(const v1::JobMutation& request, Instant now) {
  NAVIT_RETURN_IF_ERROR(CheckHealthy());
  if (!request.request_id().empty() && state_.WasDeleted(request.request_id())) {
    return absl::OkStatus();
  }
  const JobState* job = state_.Find(request.name());
  if (job == nullptr) return absl::NotFoundError(absl::StrCat("no job ", request.name()));
  if (!IsFinal(job->state())) return WrongState(*job, "deleted: cancel it first");
  for (uint64_t epoch : leases_.OfJob(request.name())) ReleaseLease(epoch);
  for (auto& [number, audit] : audits_) {
    if (audit.job() == request.name()) audit.Fail(absl::NotFoundError("the job was deleted"));
  }
  v1::Event event;
  event.set_job(request.name());
  event.mutable_job_deleted()->set_request_id(request.request_id());
  event.mutable_job_deleted()->set_generation(job->generation());
  NAVIT_RETURN_IF_ERROR(Commit(std::move(event), now));
  runtimes_.erase(request.name());
  Log(request.name(), "is deleted");
  return absl::OkStatus();
}

}  // namespace navit
