// Evaluation: packs of the evaluation splits, made on request and held until they are sent.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "server/core/coordinator_impl.h"

namespace navit {

absl::StatusOr<uint64_t> Coordinator::Impl::OpenEvaluation(
    const v1::PullEvaluationRequest& request) {
  const JobState* job = nullptr;
  uint32_t rank = 0;
  NAVIT_RETURN_IF_ERROR(
      CheckMember(request.worker(), request.job(), request.generation(), &job, &rank));
  if (request.split() == v1::SPLIT_TRAIN) {
    return absl::InvalidArgumentError("split: must be an evaluation split");
  }
  if (rank != request.rank() || request.world_size() != job->members().size()) {
    return absl::FailedPreconditionError("rank, world_size: not those of the generation");
  }
  const std::optional<StreamLayout> layout =
      StreamLayout::ForEvaluation(job->spec(), *job->manifest(), request.split());
  if (!layout.has_value()) {
    return absl::FailedPreconditionError(
        absl::StrCat("job ", job->name(), " has no data for ", v1::Split_Name(request.split())));
  }
  // A rank that opens a split again gave up its older stream.
  for (auto& [number, evaluation] : evaluations_) {
    if (evaluation.job == job->name() && evaluation.rank == rank &&
        evaluation.split == request.split()) {
      CloseEvaluation(number);
      break;
    }
  }
  Evaluation evaluation;
  evaluation.job = job->name();
  evaluation.generation = request.generation();
  evaluation.rank = rank;
  evaluation.world_size = request.world_size();
  evaluation.split = request.split();
  evaluation.windows = layout->windows();
  // Places count packs over all windows; a rank's packs are found from the first window on.
  const uint64_t number = next_evaluation_++;
  evaluations_[number] = std::move(evaluation);
  Changed();
  return number;
}

bool Coordinator::Impl::Settle(const JobRuntime& runtime, const Evaluation& evaluation,
                               PackPlace* next) const {
  while (next->window < evaluation.windows) {
    auto plan = runtime.evaluation_plans.find({evaluation.split, next->window});
    if (plan == runtime.evaluation_plans.end()) return false;
    if (next->index < plan->second) return true;
    next->index -= plan->second;
    ++next->window;
  }
  return true;
}

absl::StatusOr<EvaluationPack> Coordinator::Impl::NextEvaluationPack(uint64_t number) {
  auto it = evaluations_.find(number);
  if (it == evaluations_.end()) {
    return absl::FailedPreconditionError("the evaluation's generation is over");
  }
  Evaluation& evaluation = it->second;
  const JobRuntime& runtime = runtimes_[evaluation.job];
  EvaluationPack pack;
  // The rank's first pack is at place `rank`; `next` steps by world_size from there.
  if (evaluation.place == 0 && evaluation.next == PackPlace{}) {
    evaluation.next.index = evaluation.rank;
    evaluation.place = evaluation.rank + 1;
  }
  if (!Settle(runtime, evaluation, &evaluation.next)) return pack;
  if (evaluation.next.window >= evaluation.windows) {
    pack.kind = EvaluationPack::kEnd;
    return pack;
  }
  auto wanted = evaluation.wanted.find({evaluation.next.window, evaluation.next.index});
  if (wanted == evaluation.wanted.end() || !wanted->second.present) return pack;
  pack.kind = EvaluationPack::kReady;
  pack.key = {evaluation.job, state_.Find(evaluation.job)->uid(), evaluation.split,
              evaluation.next.window, evaluation.next.index};
  return pack;
}

void Coordinator::Impl::EvaluationPackSent(uint64_t number, const PackKey& key) {
  auto it = evaluations_.find(number);
  if (it == evaluations_.end()) return;
  Evaluation& evaluation = it->second;
  if (!(evaluation.next == PackPlace{key.window, key.index})) return;
  evaluation.wanted.erase({key.window, key.index});
  dropped_.push_back(key);
  evaluation.next.index += evaluation.world_size;
  evaluation.place += evaluation.world_size;
  // Leases of windows that no evaluation needs any more.
  const JobState& job = *state_.Find(evaluation.job);
  const auto needed = NeededEvaluationWindows(job);
  for (uint64_t epoch : leases_.OfJob(job.name())) {
    const WorkItem& item = leases_.Find(epoch)->item;
    if (item.kind == WorkKind::kWindow && item.split != v1::SPLIT_TRAIN &&
        std::find(needed.begin(), needed.end(), std::make_pair(item.split, item.id)) ==
            needed.end()) {
      ReleaseLease(epoch);
    }
  }
  Changed();
}

void Coordinator::Impl::CloseEvaluation(uint64_t number) {
  auto it = evaluations_.find(number);
  if (it == evaluations_.end()) return;
  const std::string job = it->second.job;
  const JobState* state = state_.Find(job);
  for (const auto& [place, wanted] : it->second.wanted) {
    if (wanted.present && state != nullptr) {
      dropped_.push_back({job, state->uid(), it->second.split, place.first, place.second});
    }
  }
  evaluations_.erase(it);
  if (state != nullptr) {
    const auto needed = NeededEvaluationWindows(*state);
    for (uint64_t epoch : leases_.OfJob(job)) {
      const WorkItem& item = leases_.Find(epoch)->item;
      if (item.kind == WorkKind::kWindow && item.split != v1::SPLIT_TRAIN &&
          std::find(needed.begin(), needed.end(), std::make_pair(item.split, item.id)) ==
              needed.end()) {
        ReleaseLease(epoch);
      }
    }
  }
  Changed();
}

void Coordinator::Impl::CloseEvaluations(const std::string& job) {
  std::vector<uint64_t> numbers;
  for (const auto& [number, evaluation] : evaluations_) {
    if (evaluation.job == job) numbers.push_back(number);
  }
  for (uint64_t number : numbers) CloseEvaluation(number);
}

std::vector<std::pair<v1::Split, uint64_t>> Coordinator::Impl::NeededEvaluationWindows(
    const JobState& job) const {
  // From the window of each rank's next pack on, two windows: one is sent, the next one planned.
  std::vector<std::pair<v1::Split, uint64_t>> needed;
  const JobRuntime& runtime = runtimes_.find(job.name())->second;
  for (const auto& [number, evaluation] : evaluations_) {
    if (evaluation.job != job.name()) continue;
    PackPlace next = evaluation.next;
    Settle(runtime, evaluation, &next);
    for (uint64_t w = next.window; w < std::min(next.window + 2, evaluation.windows); ++w) {
      const auto item = std::make_pair(evaluation.split, w);
      if (std::find(needed.begin(), needed.end(), item) == needed.end()) needed.push_back(item);
    }
  }
  return needed;
}

const Lease* Coordinator::Impl::EvaluationMaker(const WorkItem& item) const {
  const Lease* lease = leases_.FindItem(item);
  const WorkerEntry* holder = lease == nullptr ? nullptr : workers_.Find(lease->holder);
  return holder != nullptr && lease->finished && holder->push_stream != 0 ? lease : nullptr;
}

void Coordinator::Impl::MakeEvaluationGrants(Instant now) {
  for (auto& [number, evaluation] : evaluations_) {
    const JobRuntime& runtime = runtimes_[evaluation.job];
    PackPlace next = evaluation.next;
    if (evaluation.place == 0 && next == PackPlace{}) next.index = evaluation.rank;
    for (uint32_t ahead = 0; ahead < options_.max_evaluation_packs_per_rank; ++ahead) {
      if (!Settle(runtime, evaluation, &next) || next.window >= evaluation.windows) break;
      WorkItem item;
      item.job = evaluation.job;
      item.kind = WorkKind::kWindow;
      item.split = evaluation.split;
      item.id = next.window;
      const Lease* lease = EvaluationMaker(item);
      item.hedge = true;
      const Lease* second = EvaluationMaker(item);
      if (second != nullptr && (lease == nullptr || Late(runtime, *lease, now))) lease = second;
      if (lease != nullptr) {
        const auto [it, added] = evaluation.wanted.try_emplace({next.window, next.index});
        Evaluation::Wanted& wanted = it->second;
        const bool hedge = !added && lease == second && !wanted.present && wanted.late_lease == 0 &&
                           wanted.lease != second->epoch;
        if (hedge) wanted.late_lease = wanted.lease;
        if (added || hedge) {
          wanted.lease = lease->epoch;
          counters_.packs_hedged += hedge ? 1 : 0;
          workers_.Find(lease->holder)->grants[lease->epoch].push_back(next.index);
          Changed();
        }
      }
      next.index += evaluation.world_size;
    }
  }
}

bool Coordinator::Impl::OnEvaluationPack(const JobState& job, const v1::PackHeader& header) {
  for (auto& [number, evaluation] : evaluations_) {
    if (evaluation.job != job.name() || evaluation.split != header.split()) continue;
    auto wanted = evaluation.wanted.find({header.window(), header.index()});
    if (wanted == evaluation.wanted.end() || wanted->second.present ||
        (wanted->second.lease != header.lease_epoch() &&
         wanted->second.late_lease != header.lease_epoch())) {
      continue;
    }
    wanted->second.present = true;
    Changed();
    return true;
  }
  return false;
}

size_t Coordinator::Impl::EvaluationPacksGranted(uint64_t lease) const {
  size_t granted = 0;
  for (const auto& [number, evaluation] : evaluations_) {
    for (const auto& [place, wanted] : evaluation.wanted) {
      granted += wanted.lease == lease && !wanted.present ? 1 : 0;
    }
  }
  return granted;
}

size_t Coordinator::Impl::RevokeEvaluationGrants(uint64_t lease) {
  size_t revoked = 0;
  for (auto& [number, evaluation] : evaluations_) {
    for (auto it = evaluation.wanted.begin(); it != evaluation.wanted.end();) {
      if (it->second.lease == lease && !it->second.present) {
        it = evaluation.wanted.erase(it);
        ++revoked;
      } else {
        ++it;
      }
    }
  }
  return revoked;
}

}  // namespace navit
