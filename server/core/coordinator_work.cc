// Leases on pieces of work, and what comes back: shard lists, indexes, plans, audits.
#include <algorithm>
#include <limits>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "common/job_kind.h"
#include "common/status_macros.h"
#include "server/core/coordinator_impl.h"

namespace navit {
namespace {

// A window that waits longer than this goes to any packer, whatever share it has already.
constexpr double kFairShareSeconds = 1;

}  // namespace

std::vector<const JobState*> Coordinator::Impl::JobsInOrder() const {
  std::vector<const JobState*> jobs;
  for (const auto& [name, job] : state_.jobs()) jobs.push_back(job.get());
  std::sort(jobs.begin(), jobs.end(), [](const JobState* a, const JobState* b) {
    return std::make_tuple(-a->spec().priority(), a->submitted_seconds(), a->name()) <
           std::make_tuple(-b->spec().priority(), b->submitted_seconds(), b->name());
  });
  return jobs;
}

uint64_t Coordinator::Impl::Horizon(const JobState& job) const {
  const uint64_t g = job.spec().packing().sequences_per_step();
  uint64_t last = job.committed_step() + options_.lookahead_steps;
  if (const uint64_t total = job.total_steps(); total != 0) last = std::min(last, total);
  return last * g;
}

std::vector<uint64_t> Coordinator::Impl::NeededWindows(const JobState& job) const {
  std::vector<uint64_t> windows;
  const JobRuntime& runtime = runtimes_.find(job.name())->second;
  if (runtime.ledger == nullptr) return windows;
  const PackOrder& order = job.order();
  const uint64_t next = runtime.ledger->next_ordinal();
  const uint64_t horizon = Horizon(job);
  const uint64_t k = order.windows_per_group();
  if (next < order.packs()) {
    for (uint64_t g = order.GroupOf(next);
         g < order.groups().size() && order.groups()[g].first_pack < horizon; ++g) {
      for (uint64_t w = g * k; w < g * k + order.groups()[g].window_packs.size(); ++w) {
        if (order.NextOrdinal(w, next) < horizon) windows.push_back(w);
      }
    }
  }
  // One pack more than the horizon shows whether a step is the last one.
  if (order.packs() <= horizon) {
    const uint64_t group = order.groups().size();
    for (uint64_t w = group * k; w < group * k + job.WindowsOfGroup(group); ++w) {
      if (runtime.plans.count(w) == 0) windows.push_back(w);
    }
  }
  return windows;
}

std::optional<WorkItem> Coordinator::Impl::NextItem(const JobState& job, const WorkerEntry& worker,
                                                    Instant now) {
  JobRuntime& runtime = runtimes_[job.name()];
  NoteAsking(job, worker, now);
  WorkItem item;
  item.job = job.name();
  if (job.state() == v1::INDEXING) {
    if (!runtime.indexing.expanded()) {
      item.kind = WorkKind::kExpandShards;
      return MayLease(runtime, item, worker, true) ? std::optional<WorkItem>(item) : std::nullopt;
    }
    item.kind = WorkKind::kIndexShard;
    const std::optional<uint64_t> shard = runtime.indexing.NextShard([&](uint64_t number) {
      item.id = number;
      return !MayLease(runtime, item, worker, true);
    });
    if (!shard.has_value()) return std::nullopt;
    item.id = *shard;
    return item;
  }
  if (job.manifest() == nullptr) return std::nullopt;
  for (const auto& [number, audit] : audits_) {
    if (audit.job() != job.name()) continue;
    item.kind = WorkKind::kAudit;
    item.audit = number;
    for (item.id = 0; item.id < audit.chunks(); ++item.id) {
      if (!audit.ChunkDone(item.id) && MayLease(runtime, item, worker, true)) return item;
    }
  }
  item.audit = 0;
  item.kind = WorkKind::kWindow;
  const bool place = HasPlace(job, worker, now);
  for (const auto& [split, window] : NeededEvaluationWindows(job)) {
    item.split = split;
    item.id = window;
    if (MayLease(runtime, item, worker, place)) return item;
    if (std::optional<WorkItem> second = SecondOf(item, worker, place, now)) return second;
  }
  item.split = v1::SPLIT_TRAIN;
  const bool training = job.state() == v1::RUNNING || job.state() == v1::RECOVERING ||
                        job.state() == v1::PAUSING ||
                        (job.state() == v1::STARTING && runtime.filled() > 0);
  if (!training || IsEvaluationJob(job.spec())) return std::nullopt;

  const std::vector<uint64_t> needed = NeededWindows(job);
  for (uint64_t window : needed) {
    item.id = window;
    if (std::optional<WorkItem> second = SecondOf(item, worker, place, now)) return second;
  }
  std::optional<WorkItem> found;
  uint64_t held = 0;
  bool waits = false;
  for (uint64_t window : needed) {
    item.id = window;
    const Lease* lease = leases_.FindItem(item);
    if (lease != nullptr) {
      held += lease->holder == worker.name() ? 1 : 0;
      continue;
    }
    waits = true;
    if (!found.has_value() && MayLease(runtime, item, worker, place)) found = item;
  }
  // A window that this packer may not have still waits for another one.
  if (!waits) runtime.window_waits_since = -1;
  if (!found.has_value()) return std::nullopt;
  // Every packer gets its share of the windows, so that all feed each step.
  if (runtime.window_waits_since < 0) runtime.window_waits_since = now.steady;
  const uint64_t packers = std::max<uint64_t>(
      1, std::min<uint64_t>(ReadyPackers(), job.spec().workers().packers().max()));
  const uint64_t share = (needed.size() + packers - 1) / packers;
  if (held >= share && now.steady - runtime.window_waits_since < kFairShareSeconds) {
    return std::nullopt;
  }
  runtime.window_waits_since = -1;
  return found;
}

void Coordinator::Impl::FillWork(const JobState& job, const WorkItem& item, v1::Work* work) const {
  const JobRuntime& runtime = runtimes_.find(job.name())->second;
  switch (item.kind) {
    case WorkKind::kExpandShards:
      work->mutable_expand_shards()->set_job(job.name());
      *work->mutable_expand_shards()->mutable_spec() = job.spec();
      return;
    case WorkKind::kIndexShard: {
      v1::IndexShard* index = work->mutable_index_shard();
      index->set_job(job.name());
      index->set_shard(runtime.indexing.shard(item.id));
      index->set_index_folder(job.spec().data().index());
      const v1::DataSpec& data = job.spec().data();
      const std::optional<int> dataset = runtime.indexing.TrainDataset(item.id);
      *index->mutable_captions() =
          (dataset.has_value() ? data.train(*dataset) : data.validation(0)).captions();
      if (job.spec().model().has_text()) *index->mutable_text() = job.spec().model().text();
      return;
    }
    case WorkKind::kWindow:
      work->mutable_window()->set_job(job.name());
      work->mutable_window()->set_window(item.id);
      *work->mutable_window()->mutable_spec() = job.spec();
      work->mutable_window()->set_manifest_hash(job.manifest_hash());
      work->mutable_window()->set_split(item.split);
      return;
    case WorkKind::kAudit:
      work->mutable_audit()->set_job(job.name());
      *work->mutable_audit()->mutable_spec() = job.spec();
      work->mutable_audit()->set_manifest_hash(job.manifest_hash());
      for (uint64_t w : audits_.at(item.audit).Windows(item.id)) {
        work->mutable_audit()->add_windows(w);
      }
      return;
    case WorkKind::kProbe:
      return;  // LeaseProbe.
  }
}

absl::StatusOr<v1::Work> Coordinator::Impl::LeaseWork(const v1::WorkerId& worker, Instant now) {
  WorkerEntry* entry = nullptr;
  NAVIT_RETURN_IF_ERROR(CheckWorker(worker, &entry));
  if (entry->role() != v1::PACKER) {
    return absl::InvalidArgumentError(absl::StrCat("worker ", entry->name(), " is no packer"));
  }
  v1::Work work;
  if (entry->draining() || LeaseProbe(*entry, now, &work)) return work;
  const auto& versions = entry->registration.plan_versions();
  for (const JobState* job : JobsInOrder()) {
    if (!versions.empty() && std::find(versions.begin(), versions.end(),
                                       job->spec().packing().plan_version()) == versions.end()) {
      continue;
    }
    const std::optional<WorkItem> item = NextItem(*job, *entry, now);
    if (!item.has_value()) continue;
    const double ttl =
        std::max(job->spec().timeouts().lease_seconds(), 2 * options_.heartbeat_interval_seconds);
    if (item->kind == WorkKind::kWindow) TakePlace(*item, *entry, now);
    const Lease& lease = leases_.Grant(*item, entry->name(), ttl, now.steady);
    ++counters_.leases_granted;
    work.set_lease_epoch(lease.epoch);
    work.set_ttl_seconds(ttl);
    FillWork(*job, *item, &work);
    return work;
  }
  return work;
}

void Coordinator::Impl::ReleaseLease(uint64_t epoch) {
  const Lease* lease = leases_.Find(epoch);
  if (lease == nullptr) return;
  if (lease->item.kind == WorkKind::kWindow) {
    JobRuntime& runtime = runtimes_[lease->item.job];
    size_t revoked = 0;
    if (lease->item.split != v1::SPLIT_TRAIN) {
      revoked = RevokeEvaluationGrants(epoch);
    } else if (runtime.ledger != nullptr) {
      revoked = runtime.ledger->Revoke(epoch);
      ForgetDirect(*state_.Find(lease->item.job), epoch);
      runtime.grants_stale = true;
    }
    if (WorkerEntry* holder = workers_.Find(lease->holder); holder != nullptr) {
      // It may have dropped them half made: what it still owes is counted from its next question
      // on. Where nothing was owed, a packer that is late stays late for its other windows.
      if (revoked > 0 || leases_.HeldBy(lease->holder).size() == 1) holder->owes_since = -1;
      holder->grants.erase(epoch);
      holder->drops.erase(epoch);
      holder->released.push_back(epoch);
    }
  }
  leases_.Release(epoch);
  Changed();
}

absl::Status Coordinator::Impl::FinishWork(const v1::FinishWorkRequest& request, Instant now) {
  WorkerEntry* entry = nullptr;
  NAVIT_RETURN_IF_ERROR(CheckWorker(request.worker(), &entry));
  Lease* lease = leases_.Find(request.lease_epoch());
  if (lease == nullptr || lease->holder != entry->name()) {
    if (std::find(finished_leases_.begin(), finished_leases_.end(), request.lease_epoch()) !=
        finished_leases_.end()) {
      return absl::OkStatus();
    }
    ++counters_.stale_writes_rejected["lease"];
    return absl::FailedPreconditionError(absl::StrCat("lease ", request.lease_epoch(), " is void"));
  }
  if (lease->item.kind == WorkKind::kProbe) return FinishProbe(*lease, request);
  if (request.result_case() == v1::FinishWorkRequest::kFailure) {
    const Lease copy = *lease;
    ReleaseLease(copy.epoch);
    finished_leases_.push_back(copy.epoch);
    WorkFailed(copy, entry->name(), request.failure(), now);
    return absl::OkStatus();
  }
  if (lease->finished) return absl::OkStatus();  // A window's plan, repeated.
  const JobState* job = state_.Find(lease->item.job);
  JobRuntime& runtime = runtimes_[lease->item.job];
  absl::Status status;
  switch (lease->item.kind) {
    case WorkKind::kExpandShards:
      if (!request.has_shards()) return absl::InvalidArgumentError("shards: must be present");
      status =
          runtime.indexing.SetShards(request.shards(), job->spec().data().train_size(), now.steady);
      break;
    case WorkKind::kIndexShard:
      if (!request.has_shard()) return absl::InvalidArgumentError("shard: must be present");
      status = runtime.indexing.SetEntry(lease->item.id, request.shard(), now.steady);
      break;
    case WorkKind::kWindow:
      if (!request.has_plan()) return absl::InvalidArgumentError("plan: must be present");
      return OnPlan(*lease, request.plan(), now);
    case WorkKind::kAudit: {
      if (!request.has_audited()) return absl::InvalidArgumentError("audited: must be present");
      auto audit = audits_.find(lease->item.audit);
      if (audit != audits_.end()) {
        status = audit->second.AddResult(*job, lease->item.id, request.audited());
      }
      break;
    }
    case WorkKind::kProbe:
      break;  // Above.
  }
  const Lease copy = *lease;
  ReleaseLease(copy.epoch);
  finished_leases_.push_back(copy.epoch);
  if (finished_leases_.size() > 4096) finished_leases_.pop_front();
  if (!status.ok()) {
    v1::WorkFailure failure;
    failure.set_message(std::string(status.message()));
    failure.set_fatal(copy.item.kind == WorkKind::kExpandShards);
    WorkFailed(copy, entry->name(), failure, now);
    return absl::OkStatus();
  }
  runtime.failures.erase(copy.item);
  Changed(copy.item.job);
  if (job->state() == v1::INDEXING && runtime.indexing.done()) {
    v1::Event event;
    event.set_job(job->name());
    v1::DataManifest* manifest = event.mutable_manifest_frozen()->mutable_manifest();
    status = runtime.indexing.Manifest(manifest);
    if (!status.ok()) {
      EndJob(job->name(), EndCause::kData, std::string(status.message()), now);
      return absl::OkStatus();
    }
    event.mutable_manifest_frozen()->set_hash(ManifestHash(*manifest));
    NAVIT_RETURN_IF_ERROR(Commit(std::move(event), now));
    runtime.waiting_since = now.steady;
    Log(job->name(), absl::StrCat("", job->manifest()->train_samples(), " samples in ",
                                  job->manifest()->train_size(), " shards, ",
                                  job->manifest()->validation_samples(), " held out"));
    FollowCommit(*job);
  }
  return absl::OkStatus();
}

void Coordinator::Impl::WorkFailed(const Lease& lease, const std::string& worker,
                                   const v1::WorkFailure& failure, Instant now) {
  const JobState* job = state_.Find(lease.item.job);
  if (job == nullptr) return;
  const std::string words = absl::StrCat("packer ", worker, ": ", failure.message());
  JobRuntime::Failures& failures = runtimes_[lease.item.job].failures[lease.item];
  ++failures.count;
  failures.last_worker = worker;
  Log(lease.item.job, absl::StrCat("work failed on ", words));
  Changed(lease.item.job);
  if (!failure.fatal() && failures.count < options_.max_work_failures) return;
  if (lease.item.kind == WorkKind::kAudit) {
    auto audit = audits_.find(lease.item.audit);
    if (audit != audits_.end()) audit->second.Fail(absl::AbortedError(words));
  } else if (!IsFinal(job->state())) {
    EndJob(lease.item.job, EndCause::kData, words, now);
  }
}

absl::Status Coordinator::Impl::OnPlan(Lease& lease, const v1::WindowPlan& plan, Instant now) {
  const JobState& job = *state_.Find(lease.item.job);
  JobRuntime& runtime = runtimes_[job.name()];
  std::string wrong;
  if (plan.plan_version() != job.spec().packing().plan_version()) {
    wrong = absl::StrCat("plan version ", plan.plan_version(), " instead of ",
                         job.spec().packing().plan_version());
  } else if (lease.item.split == v1::SPLIT_TRAIN && job.order().Planned(lease.item.id) &&
             (job.order().PacksOf(lease.item.id) != plan.packs() ||
              job.order().DigestOf(lease.item.id) != plan.digest())) {
    wrong = absl::StrCat("window ", lease.item.id,
                         " has another plan than before: its shards or its packer changed");
  }
  if (!wrong.empty()) {
    const Lease copy = lease;
    ReleaseLease(copy.epoch);
    finished_leases_.push_back(copy.epoch);
    v1::WorkFailure failure;
    failure.set_message(wrong);
    WorkFailed(copy, copy.holder, failure, now);
    return absl::OkStatus();
  }
  lease.finished = true;
  runtime.grants_stale = true;
  Changed();
  if (lease.item.split != v1::SPLIT_TRAIN) {
    runtime.evaluation_plans[{lease.item.split, lease.item.id}] = plan.packs();
    return absl::OkStatus();
  }
  runtime.planned_tokens += plan.image_tokens();
  runtime.planned_capacity += plan.capacity_tokens();
  if (!job.order().Planned(lease.item.id)) runtime.plans[lease.item.id] = plan;
  PlanGroups(job.name(), now);
  return CheckHealthy();
}

void Coordinator::Impl::PlanGroups(const std::string& name, Instant now) {
  const JobState& job = *state_.Find(name);
  JobRuntime& runtime = runtimes_[name];
  for (;;) {
    const uint64_t group = job.order().groups().size();
    const uint64_t first = group * job.order().windows_per_group();
    const uint32_t windows = job.WindowsOfGroup(group);
    v1::Event event;
    event.set_job(name);
    v1::GroupPlanned* planned = event.mutable_group_planned();
    planned->set_group(group);
    planned->set_first_pack(job.order().packs());
    for (uint64_t w = first; w < first + windows; ++w) {
      auto plan = runtime.plans.find(w);
      if (plan == runtime.plans.end()) return;
      planned->add_window_packs(plan->second.packs());
      planned->add_window_digests(plan->second.digest());
    }
    if (windows == 0) return;
    planned->set_first_sample(job.layout().Window(first).first_in_stream);
    if (!Commit(std::move(event), now).ok()) return;
    runtime.plans.erase(runtime.plans.begin(), runtime.plans.lower_bound(first + windows));
    if (job.order().packs() == 0 &&
        (job.FullyPlanned() || job.order().windows() >= job.layout().windows_per_pass())) {
      EndJob(name, EndCause::kData, "the training data makes no pack: no sample is usable", now);
      return;
    }
    FollowCommit(job);
  }
}

}  // namespace navit
