#include "server/core/coordinator.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "server/core/coordinator_impl.h"

namespace navit {

absl::Status Coordinator::Impl::Start(Instant now) {
  absl::Status applied;
  const absl::Status loaded = store_->Load([this, &applied](const v1::Event& event) {
    applied = state_.Apply(event);
    return applied;
  });
  if (!applied.ok()) return absl::DataLossError(applied.message());
  NAVIT_RETURN_IF_ERROR(loaded);
  healthy_ = true;
  started_at_ = now.steady;
  v1::Event started;
  started.mutable_coordinator_started()->set_incarnation(state_.incarnation() + 1);
  NAVIT_RETURN_IF_ERROR(Commit(std::move(started), now));
  leases_.SetIncarnation(state_.incarnation());
  next_uid_ = (state_.incarnation() << 32) + 1;

  for (const auto& [name, job] : state_.jobs()) {
    JobRuntime& runtime = runtimes_[name];
    runtime.waiting_since = now.steady;
    runtime.slots_changed = now.steady;
    runtime.opened_at = now.steady;
    runtime.held_until = now.steady;
    // Members of the newest generation keep their places; they have until the heartbeat time-out to
    // register again.
    const bool has_gang = job->state() == v1::RUNNING || job->state() == v1::RECOVERING ||
                          job->state() == v1::PAUSING;
    for (const Member& member : has_gang ? job->members() : std::vector<Member>()) {
      runtime.slots.push_back(JobRuntime::Slot{member, now.steady});
    }
    runtime.open = !runtime.slots.empty() && job->state() != v1::RECOVERING;
    if (job->state() == v1::PAUSING && runtime.open) {
      SetStop(*job, JobRuntime::StopPurpose::kPause);
    }
    if (job->manifest() != nullptr) FollowCommit(*job);
  }
  Log("", absl::StrCat("incarnation ", state_.incarnation(), " starts with ", state_.jobs().size(),
                       " jobs"));
  return absl::OkStatus();
}

absl::Status Coordinator::Impl::CheckHealthy() const {
  if (healthy_) return absl::OkStatus();
  return absl::UnavailableError("the coordinator's store failed or is not open yet");
}

absl::Status Coordinator::Impl::Commit(v1::Event event, Instant now) {
  NAVIT_RETURN_IF_ERROR(CheckHealthy());
  event.set_seconds(now.unix_time);
  absl::Status status = store_->Append(absl::MakeConstSpan(&event, 1));
  // Refused as it is: the store has not changed.
  if (absl::IsInvalidArgument(status)) return status;
  if (!status.ok()) {
    // Whether it is stored is not known: only a replay can tell.
    healthy_ = false;
    Changed();
    Log("", absl::StrCat("the store failed, nothing is accepted any more: ", status.ToString()));
    return absl::UnavailableError(absl::StrCat("the store failed: ", status.message()));
  }
  const JobState* before = state_.Find(event.job());
  const bool started = before != nullptr && before->started_seconds() > 0;
  const bool stepped =
      before != nullptr && (before->committed_step() > 0 || before->recoveries() > 0);
  status = state_.Apply(event);
  if (!status.ok()) {
    // Our own mistake: the event was made from this state.
    healthy_ = false;
    Log("", absl::StrCat("a stored event does not apply: ", status.ToString()));
    return status;
  }
  if (event.job().empty() || state_.Find(event.job()) == nullptr) {
    Changed();
  } else {
    Changed(event.job());
    const JobState& job = *state_.Find(event.job());
    const double since_submission = now.unix_time - job.submitted_seconds();
    if (!started && job.started_seconds() > 0) counters_.queue_wait.Observe(since_submission);
    if (!stepped && job.committed_step() > 0) {
      counters_.time_to_first_step.Observe(since_submission);
    }
  }
  return absl::OkStatus();
}

void Coordinator::Impl::Tick(Instant now) {
  if (!healthy_) return;
  for (auto& [name, worker] : workers_.all()) {
    if (!worker.lost && worker.last_heard + MostSilence(worker) < now.steady) {
      Lose(worker, "heartbeat");
    }
    if (worker.push_stream != 0) {
      worker.streamless_since = -1;
    } else if (worker.streamless_since < 0) {
      worker.streamless_since = now.steady;
    }
  }
  for (uint64_t epoch : leases_.Expired(now.steady)) {
    ++counters_.leases_expired;
    ReleaseLease(epoch);
  }
  std::vector<std::string> names;
  for (const auto& [name, job] : state_.jobs()) names.push_back(name);
  for (const std::string& name : names) {
    Advance(name, now);
    const JobState* job = state_.Find(name);
    if (job != nullptr && !LateWindows(*job, now).empty()) runtimes_[name].grants_stale = true;
  }
  PlaceGangs(now);
  workers_.Forget(now.steady - 600);
}

// --- The public face: forwards.

Coordinator::Coordinator(CoordinatorOptions options, EventStore* store)
    : impl_(std::make_unique<Impl>(std::move(options), store)) {}
Coordinator::~Coordinator() = default;

absl::Status Coordinator::Start(Instant now) { return impl_->Start(now); }
bool Coordinator::healthy() const { return impl_->healthy_; }
uint64_t Coordinator::incarnation() const { return impl_->state_.incarnation(); }
uint64_t Coordinator::revision() const { return impl_->revision_; }
void Coordinator::Tick(Instant now) { impl_->Tick(now); }

absl::StatusOr<v1::Job> Coordinator::Submit(const v1::SubmitRequest& request, Instant now) {
  return impl_->Submit(request, now);
}
absl::StatusOr<v1::Job> Coordinator::Get(absl::string_view name) const { return impl_->Get(name); }
v1::ListReply Coordinator::List() const { return impl_->List(); }
uint64_t Coordinator::JobRevision(absl::string_view name) const {
  auto it = impl_->runtimes_.find(name);
  return it == impl_->runtimes_.end() ? 0 : it->second.revision;
}
absl::StatusOr<v1::Job> Coordinator::Cancel(const v1::JobMutation& request, Instant now) {
  return impl_->Cancel(request, now);
}
absl::StatusOr<v1::Job> Coordinator::Pause(const v1::JobMutation& request, Instant now) {
  return impl_->Pause(request, now);
}
absl::StatusOr<v1::Job> Coordinator::Resume(const v1::JobMutation& request, Instant now) {
  return impl_->Resume(request, now);
}
absl::StatusOr<v1::Job> Coordinator::Retry(const v1::JobMutation& request, Instant now) {
  return impl_->Retry(request, now);
}
absl::StatusOr<v1::Job> Coordinator::Update(const v1::UpdateRequest& request,
                                            const v1::JobSpec& spec, Instant now) {
  return impl_->Update(request, spec, now);
}
absl::Status Coordinator::Delete(const v1::JobMutation& request, Instant now) {
  return impl_->Delete(request, now);
}
absl::StatusOr<v1::ExplainReply> Coordinator::Explain(absl::string_view name, Instant now) const {
  return impl_->Explain(name, now);
}
absl::StatusOr<v1::ListCheckpointsReply> Coordinator::ListCheckpoints(
    absl::string_view name) const {
  return impl_->ListCheckpoints(name);
}
absl::StatusOr<v1::HistoryReply> Coordinator::History(const v1::HistoryRequest& request) const {
  return impl_->History(request);
}
absl::StatusOr<v1::Curve> Coordinator::JobCurve(absl::string_view name, size_t points) const {
  return impl_->JobCurve(name, points);
}
v1::ListWorkersReply Coordinator::ListWorkers(Instant now) const { return impl_->ListWorkers(now); }
absl::StatusOr<uint64_t> Coordinator::StartAudit(const v1::AuditRequest& request, Instant) {
  return impl_->StartAudit(request);
}
std::optional<absl::StatusOr<v1::AuditReply>> Coordinator::AuditResult(uint64_t audit) {
  return impl_->AuditResult(audit);
}
void Coordinator::DropAudit(uint64_t audit) { impl_->DropAudit(audit); }
absl::StatusOr<uint64_t> Coordinator::StartPreview(const v1::PreviewRequest& request) {
  return impl_->StartPreview(request);
}
absl::StatusOr<uint64_t> Coordinator::StartForecast(const v1::JobSpec& spec) {
  return impl_->StartForecast(spec);
}
std::optional<absl::StatusOr<v1::ProbeResult>> Coordinator::ProbeResult(uint64_t probe) {
  return impl_->ProbeResult(probe);
}
void Coordinator::DropProbe(uint64_t probe) { impl_->DropProbe(probe); }

absl::StatusOr<v1::RegisterReply> Coordinator::Register(const v1::RegisterRequest& request,
                                                        Instant now) {
  return impl_->Register(request, now);
}
absl::Status Coordinator::SetDrained(const std::string& name, bool drained, Instant now) {
  return impl_->SetDrained(name, drained, now);
}
absl::Status Coordinator::OnReport(const v1::WorkerReport& report, Instant now) {
  return impl_->OnReport(report, now);
}
absl::StatusOr<v1::Directive> Coordinator::DirectiveFor(const v1::WorkerId& worker, Instant) {
  return impl_->DirectiveFor(worker);
}
absl::StatusOr<v1::Work> Coordinator::LeaseWork(const v1::WorkerId& worker, Instant now) {
  return impl_->LeaseWork(worker, now);
}
absl::Status Coordinator::FinishWork(const v1::FinishWorkRequest& request, Instant now) {
  return impl_->FinishWork(request, now);
}
absl::StatusOr<std::shared_ptr<const v1::DataManifest>> Coordinator::GetManifest(
    absl::string_view hash) const {
  for (const auto& [name, job] : impl_->state_.jobs()) {
    if (job->manifest() != nullptr && job->manifest_hash() == hash) return job->manifest();
  }
  return absl::NotFoundError(absl::StrCat("no shard list has the hash ", hash));
}
absl::Status Coordinator::CheckMember(const v1::WorkerId& worker, absl::string_view job,
                                      uint64_t generation) {
  return impl_->CheckMember(worker, job, generation, nullptr, nullptr);
}
absl::Status Coordinator::KvSet(const v1::KvSetRequest& request, Instant) {
  return impl_->KvSet(request);
}
absl::StatusOr<std::optional<v1::KvGetReply>> Coordinator::KvGet(const v1::KvGetRequest& request,
                                                                 std::string* missing) {
  return impl_->KvGet(request, missing);
}
absl::Status Coordinator::ReportSteps(const v1::ReportStepsRequest& request, Instant now) {
  return impl_->ReportSteps(request, now);
}
absl::StatusOr<v1::CommitCheckpointReply> Coordinator::CommitCheckpoint(
    const v1::CommitCheckpointRequest& request, Instant now) {
  return impl_->CommitCheckpoint(request, now);
}
absl::Status Coordinator::ReportEvent(const v1::ReportEventRequest& request, Instant now) {
  return impl_->ReportEvent(request, now);
}
absl::StatusOr<uint64_t> Coordinator::OpenPush(const v1::WorkerId& worker, Instant) {
  return impl_->OpenPush(worker);
}
void Coordinator::ClosePush(const v1::WorkerId& worker, uint64_t stream) {
  impl_->ClosePush(worker, stream);
}
absl::StatusOr<v1::PushReply> Coordinator::NextGrants(const v1::WorkerId& worker, uint64_t stream,
                                                      Instant now) {
  return impl_->NextGrants(worker, stream, now);
}
absl::StatusOr<PackVerdict> Coordinator::OnPack(const v1::WorkerId& worker,
                                                const v1::PackHeader& header, uint64_t frame_bytes,
                                                Instant now, bool direct) {
  return impl_->OnPack(worker, header, frame_bytes, now, direct);
}
std::vector<PackKey> Coordinator::TakeDropped() { return std::exchange(impl_->dropped_, {}); }
absl::Status Coordinator::CheckPull(const v1::PullRequest::Open& open) {
  return impl_->CheckPull(open);
}

absl::Status Coordinator::OpenPull(const v1::PullRequest::Open& open, Instant now) {
  return impl_->OpenPull(open, now);
}
absl::StatusOr<StepForRank> Coordinator::NextStep(absl::string_view job, uint64_t generation,
                                                  uint32_t rank, uint64_t step) {
  return impl_->NextStep(job, generation, rank, step);
}
absl::StatusOr<uint64_t> Coordinator::OpenEvaluation(const v1::PullEvaluationRequest& request,
                                                     Instant) {
  return impl_->OpenEvaluation(request);
}
absl::StatusOr<EvaluationPack> Coordinator::NextEvaluationPack(uint64_t evaluation) {
  return impl_->NextEvaluationPack(evaluation);
}
void Coordinator::EvaluationPackSent(uint64_t evaluation, const PackKey& key) {
  impl_->EvaluationPackSent(evaluation, key);
}
void Coordinator::CloseEvaluation(uint64_t evaluation) { impl_->CloseEvaluation(evaluation); }
const CoordinatorCounters& Coordinator::counters() const { return impl_->counters_; }
CoordinatorGauges Coordinator::gauges(Instant) const { return impl_->Gauges(); }

}  // namespace navit
