// Gangs and generations: gathering members, opening, breaking.
#include <algorithm>
#include <limits>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "common/phase_words.h"
#include "server/core/coordinator_impl.h"
#include "server/core/scheduler.h"

namespace navit {
namespace {

std::string Where(const v1::TrainerState& state) {
  return absl::StrCat("step ", state.step(), ", ", PhaseWords(state.phase()), " for ",
                      static_cast<int64_t>(state.seconds_in_phase()), " s");
}

// The kind of trainer that the job needs; jobs of before the field need CPUs.
v1::TrainersSpec::Device DeviceOf(const JobState& job) {
  return job.spec().workers().trainers().device() == v1::TrainersSpec::CUDA ? v1::TrainersSpec::CUDA
                                                                            : v1::TrainersSpec::CPU;
}

}  // namespace

bool Coordinator::Impl::GangWanted(const JobState& job) const {
  return job.state() == v1::STARTING || job.state() == v1::RECOVERING;
}

void Coordinator::Impl::Advance(const std::string& name, Instant now) {
  const JobState* job = state_.Find(name);
  if (job == nullptr || !healthy_) return;
  JobRuntime& runtime = runtimes_[name];
  switch (job->state()) {
    case v1::QUEUED:
      if (!workers_.Live(v1::PACKER).empty())
        SetState(name, v1::INDEXING, "", "", now).IgnoreError();
      return;
    case v1::RUNNING:
    case v1::PAUSING:
      if (runtime.open) {
        WatchGeneration(*job, now);
        return;
      }
      [[fallthrough]];
    case v1::STARTING:
    case v1::RECOVERING:
      PruneSlots(*job, now);
      TryOpen(*job, now);
      return;
    case v1::CANCELLING: {
      // Over when no live trainer has anything of the job any more.
      for (const WorkerEntry* worker : workers_.Live(v1::TRAINER)) {
        const v1::TrainerState& trainer = worker->report.trainer();
        if (trainer.job() == name && trainer.kind() != v1::TrainerState::IDLE) return;
      }
      EndJob(name, EndCause::kUser, "cancelled by a user", now);
      return;
    }
    default:
      return;
  }
}

void Coordinator::Impl::FreeSlot(JobRuntime& runtime, size_t rank, Instant now) {
  WorkerEntry* worker = workers_.Find(runtime.slots[rank]->member.name);
  if (worker != nullptr && worker->incarnation() == runtime.slots[rank]->member.incarnation) {
    worker->job.clear();
  }
  runtime.slots[rank].reset();
  runtime.slots_changed = now.steady;
  Changed();
}

void Coordinator::Impl::PruneSlots(const JobState& job, Instant now) {
  JobRuntime& runtime = runtimes_[job.name()];
  const double away = std::max<double>(options_.heartbeat_timeout_seconds,
                                       job.spec().timeouts().heartbeat_seconds());
  for (size_t rank = 0; rank < runtime.slots.size(); ++rank) {
    if (!runtime.slots[rank].has_value()) continue;
    const JobRuntime::Slot& slot = *runtime.slots[rank];
    WorkerEntry* worker = workers_.Find(slot.member.name);
    if (worker == nullptr) {
      if (now.steady - started_at_ > away) FreeSlot(runtime, rank, now);
      continue;
    }
    if (worker->lost || worker->incarnation() != slot.member.incarnation || worker->draining() ||
        worker->device() != DeviceOf(job)) {
      FreeSlot(runtime, rank, now);
      continue;
    }
    const v1::TrainerState& trainer = worker->report.trainer();
    const bool joined =
        trainer.kind() == v1::TrainerState::JOINED && trainer.generation() == job.generation() + 1;
    if (!joined && now.steady - slot.asked > options_.join_timeout_seconds) {
      ++counters_.workers_lost[{v1::TRAINER, "join"}];
      Log(job.name(),
          absl::StrCat("rank ", rank, " (", slot.member.name, ") did not join generation ",
                       job.generation() + 1, " within ", options_.join_timeout_seconds,
                       " s; last seen at ", Where(trainer)));
      FreeSlot(runtime, rank, now);
    }
  }
  // More than a changed spec takes: the last ranks go.
  const v1::TrainersSpec& trainers = job.spec().workers().trainers();
  const uint32_t most = std::max({1u, trainers.min(), trainers.max()});
  for (size_t rank = runtime.slots.size(); rank > 0 && runtime.filled() > most; --rank) {
    if (runtime.slots[rank - 1].has_value()) FreeSlot(runtime, rank - 1, now);
  }
}

std::vector<WorkerEntry*> Coordinator::Impl::FreeTrainers(v1::TrainersSpec::Device device) {
  std::vector<WorkerEntry*> free;
  for (auto& [name, worker] : workers_.all()) {
    // A trainer that has not reported yet, or still holds something of a job, is not free.
    if (worker.role() == v1::TRAINER && worker.device() == device && worker.live() &&
        !worker.draining() && worker.job.empty() &&
        worker.report.trainer().kind() == v1::TrainerState::IDLE) {
      free.push_back(&worker);
    }
  }
  return free;
}

void Coordinator::Impl::PlaceGangs(Instant now) {
  for (const auto device : {v1::TrainersSpec::CPU, v1::TrainersSpec::CUDA}) PlaceGangs(device, now);
}

void Coordinator::Impl::PlaceGangs(v1::TrainersSpec::Device device, Instant now) {
  std::vector<GangRequest> requests;
  for (const auto& [name, job] : state_.jobs()) {
    if (!GangWanted(*job) || runtimes_[name].open || DeviceOf(*job) != device) continue;
    const JobRuntime& runtime = runtimes_[name];
    GangRequest request;
    request.job = name;
    request.priority = job->spec().priority();
    request.submitted_seconds = job->submitted_seconds();
    request.waiting_seconds = now.steady - runtime.waiting_since;
    request.have = runtime.filled();
    request.min_trainers = std::max<uint32_t>(1, job->spec().workers().trainers().min());
    request.max_trainers = std::max(request.min_trainers, job->spec().workers().trainers().max());
    request.min_packers = job->spec().workers().packers().min();
    if (device == v1::TrainersSpec::CUDA) request.trainer_kind = "cuda trainer";
    requests.push_back(std::move(request));
  }
  if (requests.empty()) return;
  const uint32_t packers = workers_.Live(v1::PACKER).size();
  for (const Placement& placement :
       Schedule(requests, FreeTrainers(device).size(), packers, options_.backfill_seconds)) {
    const JobState& job = *state_.Find(placement.job);
    JobRuntime& runtime = runtimes_[placement.job];
    if (runtime.wait_reason != placement.reason) {
      runtime.wait_reason = placement.reason;
      if (!placement.reason.empty()) {
        Log(placement.job, absl::StrCat("waits: ", placement.reason));
      }
      Changed(placement.job);
    }
    const bool too_few = runtime.filled() + placement.take <
                         std::max<uint32_t>(1, job.spec().workers().trainers().min());
    if (too_few && job.state() == v1::STARTING) {
      // A whole gang or nothing; survivors of a broken generation stay, for their state.
      for (size_t rank = 0; rank < runtime.slots.size(); ++rank) {
        if (runtime.slots[rank].has_value()) FreeSlot(runtime, rank, now);
      }
      runtime.slots.clear();
    }
    if (placement.take > 0) FillSlots(job, placement.take, now);
    TryOpen(job, now);
  }
}

void Coordinator::Impl::FillSlots(const JobState& job, uint32_t take, Instant now) {
  JobRuntime& runtime = runtimes_[job.name()];
  std::vector<WorkerEntry*> free = FreeTrainers(DeviceOf(job));
  auto assign = [&](size_t rank, WorkerEntry* worker) {
    runtime.slots[rank] = JobRuntime::Slot{{worker->name(), worker->incarnation()}, now.steady};
    worker->job = job.name();
    free.erase(std::find(free.begin(), free.end(), worker));
    --take;
  };
  // A hole goes first to a process with the name of its last holder.
  for (size_t rank = 0; rank < runtime.slots.size() && take > 0; ++rank) {
    if (runtime.slots[rank].has_value() || rank >= job.members().size()) continue;
    for (WorkerEntry* worker : free) {
      if (worker->name() != job.members()[rank].name) continue;
      assign(rank, worker);
      break;
    }
  }
  for (size_t rank = 0; rank < runtime.slots.size() && take > 0; ++rank) {
    if (!runtime.slots[rank].has_value()) assign(rank, free.front());
  }
  while (take > 0) {
    runtime.slots.emplace_back();
    assign(runtime.slots.size() - 1, free.front());
  }
  runtime.slots_changed = now.steady;
  Changed();
}

void Coordinator::Impl::TryOpen(const JobState& job, Instant now) {
  JobRuntime& runtime = runtimes_[job.name()];
  const v1::TrainersSpec& trainers = job.spec().workers().trainers();
  const uint32_t filled = runtime.filled();
  const bool pausing = job.state() == v1::PAUSING;
  if (pausing && filled == 0) {
    PauseJob(job.name(), "paused at its last checkpoint: no trainer kept its state", now);
    return;
  }
  if (filled == 0) return;
  if (!pausing) {
    const uint32_t min = std::max<uint32_t>(1, trainers.min());
    if (filled < min) return;
    const bool settled = now.steady - runtime.slots_changed >= options_.gang_settle_seconds;
    if (filled < std::max(min, trainers.max()) && !settled) return;
  }
  for (const auto& slot : runtime.slots) {
    if (!slot.has_value()) continue;
    const WorkerEntry* worker = workers_.Find(slot->member.name);
    if (worker == nullptr || worker->lost || worker->incarnation() != slot->member.incarnation) {
      return;
    }
    const v1::TrainerState& trainer = worker->report.trainer();
    if (trainer.kind() != v1::TrainerState::JOINED || trainer.job() != job.name() ||
        trainer.job_uid() != job.uid() || trainer.generation() != job.generation() + 1) {
      return;
    }
  }
  Open(job, now);
}

void Coordinator::Impl::Open(const JobState& job, Instant now) {
  JobRuntime& runtime = runtimes_[job.name()];
  // Ranks that no one took: the gang shrinks, the survivors keep their order.
  runtime.slots.erase(std::remove_if(runtime.slots.begin(), runtime.slots.end(),
                                     [](const auto& slot) { return !slot.has_value(); }),
                      runtime.slots.end());
  // The state of the newest generation counts, and in it the highest applied step: what any rank
  // applied there was complete on all ranks. A state whose steps have no record, here or with its
  // holder, cannot be accounted for.
  const WorkerEntry* source = nullptr;
  int source_rank = -1;
  auto rank_of = [](const v1::TrainerState& s) {
    return std::make_tuple(s.state_generation(), s.applied_step());
  };
  for (size_t rank = 0; rank < runtime.slots.size(); ++rank) {
    const WorkerEntry* worker = workers_.Find(runtime.slots[rank]->member.name);
    const v1::TrainerState& trainer = worker->report.trainer();
    if (!trainer.has_state()) continue;
    uint64_t recorded = job.committed_step();
    for (const v1::StepReport& report : trainer.unacknowledged()) {
      if (report.step() == recorded + 1) ++recorded;
    }
    if (trainer.applied_step() > recorded) continue;
    if (source == nullptr || rank_of(trainer) > rank_of(source->report.trainer())) {
      source = worker;
      source_rank = static_cast<int>(rank);
    }
  }
  if (source != nullptr && source->report.trainer().applied_step() < job.checkpoint_step()) {
    source = nullptr;  // The checkpoint is further.
    source_rank = -1;
  }
  if (job.state() == v1::PAUSING &&
      (source == nullptr || source->report.trainer().applied_step() == job.checkpoint_step())) {
    PauseJob(job.name(), "paused at its last checkpoint", now);
    return;
  }

  // The newest checkpoint that nobody found damaged.
  const auto& checkpoints = job.checkpoints();
  const auto whole = std::find_if(
      checkpoints.rbegin(), checkpoints.rend(),
      [&](const CheckpointRecord& c) { return runtime.bad_checkpoints.count(c.path) == 0; });
  if (source == nullptr && !checkpoints.empty() && whole == checkpoints.rend()) {
    EndJob(
        job.name(), EndCause::kCheckpoint,
        absl::StrCat("no trainer has the job's weights, and every kept checkpoint is damaged; the "
                     "newest is ",
                     checkpoints.back().path),
        now);
    return;
  }

  v1::Event event;
  event.set_job(job.name());
  v1::GenerationOpened* opened = event.mutable_generation_opened();
  opened->set_generation(job.generation() + 1);
  for (const auto& slot : runtime.slots) {
    opened->add_members(slot->member.name);
    opened->add_member_incarnations(slot->member.incarnation);
  }
  opened->set_source_rank(source_rank);
  if (source == nullptr) {
    opened->set_committed_step(checkpoints.empty() ? 0 : whole->step);
    if (!checkpoints.empty()) opened->set_checkpoint(whole->path);
  } else {
    const v1::TrainerState& trainer = source->report.trainer();
    opened->set_committed_step(options_.broken_rules.ignore_applied_step
                                   ? std::min(job.committed_step(), trainer.applied_step())
                                   : trainer.applied_step());
    for (const v1::StepReport& report : trainer.unacknowledged()) {
      if (report.step() > job.committed_step() && report.step() <= opened->committed_step()) {
        *opened->add_adopted() = report;
      }
    }
  }
  opened->set_reason(job.reason());
  const uint64_t before = job.committed_step();
  const uint64_t after = opened->committed_step();
  if (!Commit(std::move(event), now).ok()) return;

  ++counters_.generations_opened;
  if (after < before) counters_.steps_rolled_back += before - after;
  if (after > before) counters_.steps_committed += after - before;
  Log(job.name(), absl::StrCat("generation ", job.generation(), " opens with ",
                               runtime.slots.size(), " ranks at step ", after,
                               after < before   ? absl::StrCat(" (rolled back from ", before, ")")
                               : after > before ? absl::StrCat(" (adopted after ", before, ")")
                                                : ""));
  runtime.open = true;
  runtime.opened_at = now.steady;
  runtime.held_until = now.steady;
  runtime.wait_reason.clear();
  runtime.kv.clear();
  runtime.direct = JobRuntime::Direct();
  runtime.stop_purpose = JobRuntime::StopPurpose::kNone;
  runtime.stop_after_step = 0;
  if (job.state() == v1::PAUSING) {
    // No step of this generation has started: stop where it begins, if that is not step 0.
    runtime.stop_purpose = JobRuntime::StopPurpose::kPause;
    runtime.stop_after_step = after;
  }
  FollowCommit(job);
}

void Coordinator::Impl::Break(const JobState& job, const std::string& reason, Instant now) {
  JobRuntime& runtime = runtimes_[job.name()];
  Log(job.name(), absl::StrCat("generation ", job.generation(), " broke: ", reason));
  if (job.recoveries_without_progress() >= job.spec().budgets().recoveries_without_progress()) {
    const std::string words = absl::StrCat(job.recoveries_without_progress(),
                                           " recoveries without a committed step; last: ", reason);
    if (job.state() == v1::PAUSING) {
      PauseJob(job.name(), absl::StrCat("paused at its last checkpoint: ", words), now);
    } else {
      EndJob(job.name(), EndCause::kRecoveries, words, now);
    }
    return;
  }
  if (job.state() == v1::RUNNING && !SetState(job.name(), v1::RECOVERING, reason, "", now).ok()) {
    return;
  }
  runtime.open = false;
  runtime.waiting_since = now.steady;
  runtime.slots_changed = now.steady;
  runtime.stop_purpose = JobRuntime::StopPurpose::kNone;
  runtime.stop_after_step = 0;
  for (auto& slot : runtime.slots) {
    if (slot.has_value()) slot->asked = now.steady;
  }
  CloseEvaluations(job.name());
  Changed(job.name());
  PruneSlots(job, now);
}

}  // namespace navit
