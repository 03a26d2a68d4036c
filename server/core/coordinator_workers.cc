// Workers: their registration and reports, when they are lost, and what each is to do now.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "server/core/coordinator_impl.h"

namespace navit {

absl::Status Coordinator::Impl::CheckWorker(const v1::WorkerId& worker, WorkerEntry** entry) {
  NAVIT_RETURN_IF_ERROR(CheckHealthy());
  const absl::Status status = workers_.Check(worker, entry);
  if (absl::IsUnauthenticated(status)) ++counters_.stale_writes_rejected["incarnation"];
  return status;
}

absl::StatusOr<v1::RegisterReply> Coordinator::Impl::Register(const v1::RegisterRequest& request,
                                                              Instant now) {
  NAVIT_RETURN_IF_ERROR(CheckHealthy());
  if (request.worker().name().empty() || request.worker().name().size() > 253) {
    return absl::InvalidArgumentError("worker.name: must have 1 to 253 characters");
  }
  if (request.worker().incarnation() == 0) {
    return absl::InvalidArgumentError("worker.incarnation: must not be 0");
  }
  if (request.role() != v1::PACKER && request.role() != v1::TRAINER) {
    return absl::InvalidArgumentError("role: must be PACKER or TRAINER");
  }
  if (WorkerEntry* old = workers_.Find(request.worker().name());
      old != nullptr && !old->lost && old->incarnation() < request.worker().incarnation()) {
    Lose(*old, "replaced");
  }
  bool replaced = false;
  NAVIT_RETURN_IF_ERROR(workers_.Register(request, now.steady, &replaced));
  WorkerEntry* entry = workers_.Find(request.worker().name());
  entry->drained = state_.drained_workers().contains(entry->name());
  for (const auto& [name, runtime] : runtimes_) {
    for (const auto& slot : runtime.slots) {
      if (slot.has_value() && slot->member.name == entry->name() &&
          slot->member.incarnation == entry->incarnation()) {
        entry->job = name;
      }
    }
  }
  Changed();
  v1::RegisterReply reply;
  reply.set_heartbeat_interval_seconds(options_.heartbeat_interval_seconds);
  reply.set_coordinator_incarnation(state_.incarnation());
  return reply;
}

absl::Status Coordinator::Impl::SetDrained(const std::string& name, bool drained, Instant now) {
  NAVIT_RETURN_IF_ERROR(CheckHealthy());
  WorkerEntry* entry = workers_.Find(name);
  // The mark of a worker that is gone can still be taken away.
  if (entry == nullptr && (drained || !state_.drained_workers().contains(name))) {
    return absl::NotFoundError(absl::StrCat("no worker ", name));
  }
  if (state_.drained_workers().contains(name) == drained) return absl::OkStatus();
  v1::Event event;
  event.mutable_worker_drained()->set_name(name);
  event.mutable_worker_drained()->set_drained(drained);
  NAVIT_RETURN_IF_ERROR(Commit(std::move(event), now));
  if (entry != nullptr) entry->drained = drained;
  Log(entry == nullptr ? "" : entry->job,
      absl::StrCat("worker ", name, drained ? " is drained" : " takes work again"));
  return absl::OkStatus();
}

absl::Status Coordinator::Impl::OnReport(const v1::WorkerReport& report, Instant now) {
  WorkerEntry* entry = nullptr;
  NAVIT_RETURN_IF_ERROR(CheckWorker(report.worker(), &entry));
  entry->last_heard = now.steady;
  if (report.sequence() != 0 && report.sequence() <= entry->report.sequence()) {
    return absl::OkStatus();  // Overtaken by a newer one on another stream.
  }
  const bool news = entry->report.draining() != report.draining() ||
                    entry->report.trainer().kind() != report.trainer().kind() ||
                    entry->report.trainer().generation() != report.trainer().generation() ||
                    entry->report.trainer().applied_step() != report.trainer().applied_step();
  entry->report = report;
  for (uint64_t epoch : report.lease_epochs()) {
    if (leases_.Renew(epoch, entry->name(), now.steady)) continue;
    // The packer missed its end. Told once per report until it drops it.
    std::vector<uint64_t>& released = entry->released;
    if (std::find(released.begin(), released.end(), epoch) == released.end()) {
      released.push_back(epoch);
      Changed();
    }
  }
  if (!news) return absl::OkStatus();
  Changed();
  const std::string job = entry->job;
  if (!job.empty()) Advance(job, now);
  return absl::OkStatus();
}

void Coordinator::Impl::Lose(WorkerEntry& worker, const std::string& reason) {
  ++counters_.workers_lost[{worker.role(), reason}];
  Log("", absl::StrCat(worker.role() == v1::PACKER ? "packer " : "trainer ", worker.name(),
                       " is lost (", reason, ")"));
  StopPush(worker);
  for (uint64_t epoch : leases_.HeldBy(worker.name())) ReleaseLease(epoch);
  worker.released.clear();
  worker.lost = true;
  worker.job.clear();
  Changed();
}

double Coordinator::Impl::MostSilence(const WorkerEntry& worker) const {
  double longest = 0;
  const auto allows = [&](const std::string& name) {
    const JobState* job = state_.Find(name);
    if (job == nullptr) return;
    longest = std::max({longest, job->spec().timeouts().heartbeat_seconds(),
                        2 * options_.heartbeat_interval_seconds});
  };
  allows(worker.job);
  for (uint64_t epoch : leases_.HeldBy(worker.name())) allows(leases_.Find(epoch)->item.job);
  // Between two windows of a job it still works for it.
  for (const auto& [job, runtime] : runtimes_) {
    if (runtime.packers.count(worker.name()) > 0) allows(job);
  }
  return longest > 0 ? longest : options_.heartbeat_timeout_seconds;
}

absl::StatusOr<v1::Directive> Coordinator::Impl::DirectiveFor(const v1::WorkerId& worker) {
  NAVIT_RETURN_IF_ERROR(CheckHealthy());
  v1::Directive directive;
  WorkerEntry* entry = nullptr;
  const absl::Status status = workers_.Check(worker, &entry);
  directive.set_coordinator_incarnation(state_.incarnation());
  if (absl::IsUnauthenticated(status)) {
    directive.set_fenced(true);
    return directive;
  }
  NAVIT_RETURN_IF_ERROR(status);

  auto fill = [](const JobState& job, v1::JobData* data) {
    data->set_job(job.name());
    data->set_job_uid(job.uid());
    *data->mutable_spec() = job.spec();
    data->set_manifest_hash(job.manifest_hash());
  };
  uint64_t durable_step = 0;
  if (entry->role() == v1::PACKER) {
    for (const auto& [name, job] : state_.jobs()) {
      const bool active = job->state() != v1::QUEUED && job->state() != v1::PAUSED &&
                          job->state() != v1::CANCELLING && !IsFinal(job->state());
      if (active) fill(*job, directive.add_jobs());
    }
  } else {
    v1::TrainerDirective* trainer = directive.mutable_trainer();
    trainer->set_kind(v1::TrainerDirective::RELEASE);
    const JobState* job = state_.Find(entry->job);
    const JobRuntime* runtime = job == nullptr ? nullptr : &runtimes_[entry->job];
    for (size_t rank = 0; runtime != nullptr && rank < runtime->slots.size(); ++rank) {
      const auto& slot = runtime->slots[rank];
      if (!slot.has_value() || slot->member.name != entry->name()) continue;
      fill(*job, trainer->mutable_job());
      durable_step = job->committed_step();
      if (!runtime->open) {
        trainer->set_kind(v1::TrainerDirective::PREPARE);
        trainer->set_generation(job->generation() + 1);
        break;
      }
      trainer->set_kind(v1::TrainerDirective::RUN);
      trainer->set_generation(job->generation());
      trainer->set_rank(rank);
      for (const Member& member : job->members()) trainer->add_members(member.name);
      trainer->set_committed_step(job->generation_step());
      trainer->set_source_rank(job->source_rank());
      trainer->set_checkpoint(job->generation_checkpoint());
      trainer->set_stop_after_step(runtime->stop_after_step);
      trainer->set_checkpoint_on_stop(runtime->stop_purpose != JobRuntime::StopPurpose::kNone);
      break;
    }
  }
  std::string bytes = directive.SerializeAsString();
  if (bytes != entry->last_directive || entry->directive_version == 0) {
    entry->last_directive = std::move(bytes);
    entry->directive_version = ++directive_versions_;
  }
  directive.set_version(entry->directive_version);
  if (durable_step > 0) directive.mutable_trainer()->set_durable_step(durable_step);
  return directive;
}

}  // namespace navit
