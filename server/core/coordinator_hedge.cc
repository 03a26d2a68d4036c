// Second leases on the windows of packers that are late. Packs are pure functions of the job, so it
// does not matter whose copy of a pack is used.
#include <algorithm>

#include "server/core/coordinator_impl.h"

namespace navit {
namespace {

// So many intervals are remembered, and none is judged by fewer than the least.
constexpr size_t kMostIntervals = 63;
constexpr size_t kLeastIntervals = 4;

double Median(const std::deque<double>& values) {
  std::vector<double> sorted(values.begin(), values.end());
  const auto middle = sorted.begin() + static_cast<ptrdiff_t>(sorted.size() / 2);
  std::nth_element(sorted.begin(), middle, sorted.end());
  return *middle;
}

}  // namespace

size_t Coordinator::Impl::Owed(const std::string& worker) const {
  size_t owed = 0;
  for (uint64_t epoch : leases_.HeldBy(worker)) {
    const WorkItem& item = leases_.Find(epoch)->item;
    const auto runtime = runtimes_.find(item.job);
    if (item.split != v1::SPLIT_TRAIN) {
      owed += EvaluationPacksGranted(epoch);
    } else if (runtime != runtimes_.end() && runtime->second.ledger != nullptr) {
      owed += runtime->second.ledger->Granted(epoch);
    }
  }
  return owed;
}

void Coordinator::Impl::Delivered(JobRuntime& runtime, WorkerEntry& worker, Instant now) {
  if (worker.owes_since < 0) return;
  runtime.pack_intervals.push_back(now.steady - worker.owes_since);
  if (runtime.pack_intervals.size() > kMostIntervals) runtime.pack_intervals.pop_front();
  worker.owes_since = Owed(worker.name()) > 0 ? now.steady : -1;
}

bool Coordinator::Impl::Late(const JobRuntime& runtime, const Lease& lease, Instant now) const {
  if (!lease.finished) return now.steady - lease.granted > options_.hedge_seconds;
  const WorkerEntry* holder = workers_.Find(lease.holder);
  if (holder == nullptr) return false;
  if (holder->push_stream == 0 && holder->streamless_since >= 0) {
    return now.steady - holder->streamless_since > options_.hedge_seconds;
  }
  if (holder->owes_since < 0) return false;
  if (runtime.pack_intervals.size() < kLeastIntervals) return false;
  return now.steady - holder->owes_since >
         std::max(options_.hedge_seconds, options_.hedge_factor * Median(runtime.pack_intervals));
}

std::vector<uint64_t> Coordinator::Impl::LateWindows(const JobState& job, Instant now) const {
  const JobRuntime& runtime = runtimes_.find(job.name())->second;
  std::vector<uint64_t> late;
  WorkItem item;
  item.job = job.name();
  item.kind = WorkKind::kWindow;
  for (uint64_t window : NeededWindows(job)) {
    item.id = window;
    const Lease* lease = leases_.FindItem(item);
    if (lease != nullptr && Late(runtime, *lease, now)) late.push_back(window);
  }
  return late;
}

std::optional<WorkItem> Coordinator::Impl::SecondOf(WorkItem item, const WorkerEntry& worker,
                                                    bool place, Instant now) const {
  const JobRuntime& runtime = runtimes_.find(item.job)->second;
  const Lease* first = leases_.FindItem(item);
  if (first == nullptr || first->holder == worker.name() || !Late(runtime, *first, now)) {
    return std::nullopt;
  }
  item.hedge = true;
  if (!MayLease(runtime, item, worker, place)) return std::nullopt;
  return item;
}

bool Coordinator::Impl::HedgeGrants(const JobState& job, Instant now) {
  RelayLedger& ledger = *runtimes_[job.name()].ledger;
  WorkItem item;
  item.job = job.name();
  item.kind = WorkKind::kWindow;
  uint64_t hedged = 0;
  for (uint64_t window : LateWindows(job, now)) {
    if (!job.order().Planned(window)) continue;
    item.id = window;
    item.hedge = true;
    const Lease* second = leases_.FindItem(item);
    if (second == nullptr || !second->finished) continue;
    WorkerEntry* holder = workers_.Find(second->holder);
    if (holder == nullptr || holder->push_stream == 0) continue;
    item.hedge = false;
    const uint64_t first = leases_.FindItem(item)->epoch;
    for (uint32_t index = 0; index < job.order().PacksOf(window); ++index) {
      const uint64_t ordinal = job.order().Ordinal(window, index);
      if (ledger.LeaseOf(ordinal) != first || !ledger.Hedge(ordinal, second->epoch)) continue;
      holder->grants[second->epoch].push_back(index);
      ++hedged;
    }
  }
  counters_.packs_hedged += hedged;
  return hedged > 0;
}

}  // namespace navit
