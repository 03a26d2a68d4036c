// Grants, packs and deals: the relay's decisions.
#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "server/core/coordinator_impl.h"
#include "server/core/limits.h"

namespace navit {
PackKey Coordinator::Impl::KeyOf(const JobState& job, uint64_t ordinal) const {
  const PackPlace place = job.order().Locate(ordinal);
  return {job.name(), job.uid(), v1::SPLIT_TRAIN, place.window, place.index};
}

void Coordinator::Impl::DropOrdinals(const JobState& job, const std::vector<uint64_t>& ordinals) {
  for (uint64_t ordinal : ordinals) dropped_.push_back(KeyOf(job, ordinal));
  if (RelayLedger* ledger = runtimes_[job.name()].ledger.get(); ledger != nullptr) {
    DropAtPackers(job, ledger);
  }
}

void Coordinator::Impl::FollowCommit(const JobState& job) {
  JobRuntime& runtime = runtimes_[job.name()];
  if (IsFinal(job.state()) || job.state() == v1::PAUSED || job.state() == v1::CANCELLING) return;
  if (runtime.ledger == nullptr) {
    runtime.ledger = std::make_unique<RelayLedger>(job.spec().budgets().relay_bytes(),
                                                   MaxFrameBytes(job.spec()));
  }
  const uint64_t next =
      job.committed_step() * static_cast<uint64_t>(job.spec().packing().sequences_per_step());
  DropOrdinals(job, runtime.ledger->SetNextOrdinal(next));
  runtime.grants_stale = true;
  // Windows whose packs are all committed are done with.
  for (uint64_t epoch : leases_.OfJob(job.name())) {
    const Lease* lease = leases_.Find(epoch);
    if (lease->item.kind == WorkKind::kWindow && lease->item.split == v1::SPLIT_TRAIN &&
        job.order().Planned(lease->item.id) &&
        job.order().NextOrdinal(lease->item.id, next) == std::numeric_limits<uint64_t>::max()) {
      ReleaseLease(epoch);
    }
  }
  Changed(job.name());
}

absl::StatusOr<uint64_t> Coordinator::Impl::OpenPush(const v1::WorkerId& worker) {
  WorkerEntry* entry = nullptr;
  NAVIT_RETURN_IF_ERROR(CheckWorker(worker, &entry));
  if (entry->role() != v1::PACKER) {
    return absl::InvalidArgumentError(absl::StrCat("worker ", entry->name(), " is no packer"));
  }
  StopPush(*entry);
  entry->push_stream = ++entry->push_streams_opened;
  Changed();
  return entry->push_stream;
}

void Coordinator::Impl::ClosePush(const v1::WorkerId& worker, uint64_t stream) {
  WorkerEntry* entry = workers_.Find(worker.name());
  if (entry == nullptr || entry->incarnation() != worker.incarnation() ||
      entry->push_stream != stream) {
    return;
  }
  StopPush(*entry);
}

void Coordinator::Impl::StopPush(WorkerEntry& worker) {
  worker.push_stream = 0;
  worker.owes_since = -1;
  worker.grants.clear();
  worker.drops.clear();
  for (uint64_t epoch : leases_.HeldBy(worker.name())) {
    const Lease* lease = leases_.Find(epoch);
    if (lease->item.kind != WorkKind::kWindow) continue;
    JobRuntime& runtime = runtimes_[lease->item.job];
    if (lease->item.split != v1::SPLIT_TRAIN) {
      RevokeEvaluationGrants(epoch);
    } else if (runtime.ledger != nullptr) {
      runtime.ledger->Revoke(epoch);
      // What it kept went with its stream.
      ForgetDirect(*state_.Find(lease->item.job), epoch);
      runtime.grants_stale = true;
    }
  }
  Changed();
}

void Coordinator::Impl::MakeGrants(const JobState& job, const WorkerEntry& asking, Instant now) {
  JobRuntime& runtime = runtimes_[job.name()];
  if (runtime.ledger == nullptr || !runtime.grants_stale) return;
  runtime.grants_stale = false;
  const uint64_t g = job.spec().packing().sequences_per_step();
  const uint64_t end = std::min(Horizon(job), job.order().packs());
  const uint64_t oldest_end = std::min((job.committed_step() + 1) * g, end);
  // By window, the lease under which its packs can be made now; by packer, how many it may yet get.
  std::map<uint64_t, const Lease*> makers;
  std::map<std::string, size_t> room;
  size_t most = 0;
  for (uint64_t epoch : leases_.OfJob(job.name())) {
    const Lease* lease = leases_.Find(epoch);
    if (lease->item.kind != WorkKind::kWindow || lease->item.split != v1::SPLIT_TRAIN ||
        !lease->finished) {
      continue;
    }
    const WorkerEntry* holder = workers_.Find(lease->holder);
    if (holder == nullptr || holder->push_stream == 0) continue;
    const Lease*& maker = makers[lease->item.id];
    if (maker == nullptr || Late(runtime, *maker, now)) maker = lease;
    auto [it, first] = room.try_emplace(lease->holder, options_.max_grants_per_packer);
    if (first) {
      for (uint64_t held : leases_.HeldBy(lease->holder)) {
        it->second -= std::min(it->second, runtime.ledger->Granted(held));
      }
      // Several packs in one message: grants one by one would cost as much as forwarding.
      if (it->second < options_.max_grants_per_packer / 2) it->second = 0;
      most += it->second;
    }
  }
  auto lease_of = [&](uint64_t ordinal) -> std::optional<uint64_t> {
    const auto maker = makers.find(job.order().Locate(ordinal).window);
    if (maker == makers.end()) return std::nullopt;
    size_t& left = room[maker->second->holder];
    if (left == 0) return std::nullopt;
    --left;
    return maker->second->epoch;
  };
  std::vector<uint64_t> evicted;
  const std::vector<RelayLedger::Grant> grants =
      runtime.ledger->GrantMissing(oldest_end, end, most, lease_of, &evicted);
  counters_.packs_evicted += evicted.size();
  DropOrdinals(job, evicted);
  bool others = HedgeGrants(job, now) || !evicted.empty();
  for (const RelayLedger::Grant& grant : grants) {
    WorkerEntry* holder = workers_.Find(leases_.Find(grant.lease)->holder);
    holder->grants[grant.lease].push_back(job.order().Locate(grant.ordinal).index);
    others = others || holder != &asking;
  }
  // The packer that asks gets its own with the answer.
  if (others) Changed();
}

absl::StatusOr<v1::PushReply> Coordinator::Impl::NextGrants(const v1::WorkerId& worker,
                                                            uint64_t stream, Instant now) {
  WorkerEntry* entry = nullptr;
  NAVIT_RETURN_IF_ERROR(CheckWorker(worker, &entry));
  if (entry->push_stream != stream) {
    return absl::AbortedError(absl::StrCat("worker ", entry->name(), " has a newer push stream"));
  }
  for (const JobState* job : JobsInOrder()) MakeGrants(*job, *entry, now);
  MakeEvaluationGrants(now);
  v1::PushReply reply;
  for (const auto& [epoch, indexes] : entry->grants) {
    v1::PushReply::Grant* grant = reply.add_grants();
    grant->set_lease_epoch(epoch);
    for (uint32_t index : indexes) grant->add_indexes(index);
    const Lease* lease = leases_.Find(epoch);
    const JobState* job = lease == nullptr ? nullptr : state_.Find(lease->item.job);
    grant->set_direct(job != nullptr && lease->item.split == v1::SPLIT_TRAIN &&
                      MayStay(*job, *entry));
  }
  for (const auto& [epoch, indexes] : entry->drops) {
    v1::PushReply::Drop* drop = reply.add_drops();
    drop->set_lease_epoch(epoch);
    for (uint32_t index : indexes) drop->add_indexes(index);
  }
  for (uint64_t epoch : entry->released) reply.add_released(epoch);
  if (entry->owes_since < 0 && Owed(entry->name()) > 0) entry->owes_since = now.steady;
  entry->grants.clear();
  entry->released.clear();
  entry->drops.clear();
  return reply;
}

absl::StatusOr<PackVerdict> Coordinator::Impl::OnPack(const v1::WorkerId& worker,
                                                      const v1::PackHeader& header,
                                                      uint64_t frame_bytes, Instant now,
                                                      bool direct) {
  const absl::StatusOr<PackVerdict> verdict = TakePack(worker, header, frame_bytes, now, direct);
  WorkerEntry* entry = workers_.Find(worker.name());
  if (direct && entry != nullptr && (!verdict.ok() || !verdict->keep)) {
    // The packer keeps what nobody wants.
    entry->drops[header.lease_epoch()].push_back(header.index());
    Changed();
  }
  return verdict;
}

absl::StatusOr<PackVerdict> Coordinator::Impl::TakePack(const v1::WorkerId& worker,
                                                        const v1::PackHeader& header,
                                                        uint64_t frame_bytes, Instant now,
                                                        bool direct) {
  WorkerEntry* entry = nullptr;
  NAVIT_RETURN_IF_ERROR(CheckWorker(worker, &entry));
  const Lease* lease = leases_.Find(header.lease_epoch());
  const bool mine = lease != nullptr && lease->holder == entry->name();
  const JobState* job = state_.Find(header.job());
  const bool lenient = options_.broken_rules.accept_stale_leases && job != nullptr &&
                       header.split() == v1::SPLIT_TRAIN;
  if (!mine && !lenient) {
    ++counters_.stale_writes_rejected["lease"];
    return absl::FailedPreconditionError(absl::StrCat("lease ", header.lease_epoch(), " is void"));
  }
  const bool fits =
      lenient || (lease->item.kind == WorkKind::kWindow && lease->finished &&
                  lease->item.job == header.job() && lease->item.split == header.split() &&
                  lease->item.id == header.window());
  if (!fits || job == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("header: pack ", header.index(), " of window ",
                                                   header.window(), " is not of lease ",
                                                   header.lease_epoch()));
  }
  ++counters_.packs_received;
  // A pack says that the window's samples can be read; its plan alone, made of indexes, does not.
  if (mine) runtimes_[job->name()].failures.erase(lease->item);
  PackVerdict verdict;
  verdict.key = {job->name(), job->uid(), header.split(), header.window(), header.index()};
  if (header.split() != v1::SPLIT_TRAIN) {
    if (frame_bytes > MaxFrameBytes(job->spec())) {
      return absl::InvalidArgumentError("payload_bytes: over the most that a pack can have");
    }
    verdict.keep = OnEvaluationPack(*job, header);
    Delivered(runtimes_[job->name()], *entry, now);
    if (!verdict.keep) ++counters_.packs_duplicate;
    return verdict;
  }
  JobRuntime& runtime = runtimes_[job->name()];
  if (!job->order().Planned(header.window()) || runtime.ledger == nullptr) return verdict;
  if (header.index() >= job->order().PacksOf(header.window())) {
    return absl::InvalidArgumentError(absl::StrCat("header.index: window ", header.window(),
                                                   " has ", job->order().PacksOf(header.window()),
                                                   " packs, not ", header.index()));
  }
  PackCost cost;
  cost.content_hash = header.content_hash();
  cost.image_tokens = header.image_tokens();
  cost.capacity_tokens = header.capacity_tokens();
  cost.text_tokens = header.text_tokens();
  cost.examples = header.examples();
  cost.valid_examples = header.valid_examples();
  cost.holes = header.holes_size();
  cost.sum_squares = header.sum_squares();
  const uint64_t ordinal = job->order().Ordinal(header.window(), header.index());
  uint64_t under = header.lease_epoch();
  if (lenient) under = runtime.ledger->LeaseOf(ordinal).value_or(under);
  const absl::StatusOr<RelayLedger::Arrival> arrival =
      runtime.ledger->Arrive(ordinal, under, frame_bytes, cost, direct);
  if (absl::IsDataLoss(arrival.status())) {
    EndJob(job->name(), EndCause::kMismatch,
           absl::StrCat("pack ", header.index(), " of window ", header.window(), " by packer ",
                        entry->name(), ": ", arrival.status().message()),
           now);
  }
  NAVIT_RETURN_IF_ERROR(arrival.status());
  Delivered(runtime, *entry, now);
  verdict.keep = *arrival == RelayLedger::Arrival::kKept;
  if (!verdict.keep) ++counters_.packs_duplicate;
  if (!direct) CountRelayed(frame_bytes, now);
  if (direct && verdict.keep) ++counters_.packs_direct;
  runtime.grants_stale = true;
  // Ranks wait for whole steps; the packer's own stream asks for its next grants at once. Waking
  // everybody for every pack would cost more than forwarding it.
  const uint64_t g = job->spec().packing().sequences_per_step();
  const std::optional<JobState::StepRange> range = job->Step(ordinal / g + 1);
  if (range.has_value() && runtime.ledger->AllPresent(range->first, range->end)) Changed();
  return verdict;
}

absl::Status Coordinator::Impl::CheckPull(const v1::PullRequest::Open& open) {
  uint32_t rank = 0;
  const JobState* job = nullptr;
  NAVIT_RETURN_IF_ERROR(CheckMember(open.worker(), open.job(), open.generation(), &job, &rank));
  if (rank != open.rank()) {
    return absl::FailedPreconditionError(absl::StrCat("worker ", open.worker().name(), " is rank ",
                                                      rank, ", not rank ", open.rank()));
  }
  return absl::OkStatus();
}

absl::StatusOr<StepForRank> Coordinator::Impl::NextStep(absl::string_view name, uint64_t generation,
                                                        uint32_t rank, uint64_t step) {
  NAVIT_RETURN_IF_ERROR(CheckHealthy());
  const JobState* job = state_.Find(name);
  const JobRuntime* runtime = job == nullptr ? nullptr : &runtimes_[job->name()];
  if (runtime == nullptr || !runtime->open || job->generation() != generation ||
      rank >= runtime->slots.size()) {
    return absl::FailedPreconditionError(
        absl::StrCat("generation ", generation, " of job ", name, " is over"));
  }
  StepForRank result;
  if (const uint64_t total = job->total_steps(); total != 0 && step > total) {
    result.kind = StepForRank::kEnd;
    return result;
  }
  if (step <= job->committed_step()) {
    return absl::FailedPreconditionError(
        absl::StrCat("step ", step, " of job ", name, " is committed already"));
  }
  const std::optional<JobState::StepRange> range = job->Step(step);
  if (!range.has_value() || runtime->ledger == nullptr ||
      !runtime->ledger->AllPresent(range->first, range->end)) {
    return result;
  }
  std::vector<PackCost> costs;
  for (uint64_t o = range->first; o < range->end; ++o) {
    costs.push_back(runtime->ledger->Cost(o));
  }
  result.kind = StepForRank::kReady;
  result.deal = Deal(step, range->first, costs, runtime->slots.size());
  result.deal.set_progress(job->Progress(step, range->end));
  result.deal.set_last(range->last);
  for (uint64_t ordinal : result.deal.ranks(rank).ordinals()) {
    result.packs.push_back(KeyOf(*job, ordinal));
    result.bytes += runtime->ledger->Bytes(ordinal);
  }
  return result;
}

}  // namespace navit
