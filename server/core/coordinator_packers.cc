// Which packers work for a job. Indexing and audits take every packer; the windows whose packs are
// trained on and evaluated with go to at most workers.packers.max packers at a time.
//
// A packer that gets a window has a place with the job and keeps it from window to window, so that
// what it has opened and read for the job serves again. With all places taken, a packer that asks
// gets the place of one that
//   is lost or drains, or for which a lowered max has no room;
//   is late, or failed at the very window that is asked for: the job would wait for it;
//   holds no window of the job and has not asked for one lately: other jobs keep it busy.
// What a packer that lost its place still holds it may deliver; it gets no new window.
#include <algorithm>
#include <iterator>

#include "server/core/coordinator_impl.h"

namespace navit {
namespace {

// Packers ask again as soon as they have a thread for it.
constexpr double kIdleSeconds = 1;

}  // namespace

size_t Coordinator::Impl::ReadyPackers() const {
  size_t ready = 0;
  for (const WorkerEntry* packer : workers_.Live(v1::PACKER)) ready += packer->draining() ? 0 : 1;
  return ready;
}

void Coordinator::Impl::NoteAsking(const JobState& job, const WorkerEntry& worker, Instant now) {
  std::map<std::string, double>& places = runtimes_[job.name()].packers;
  for (auto it = places.begin(); it != places.end();) {
    const WorkerEntry* packer = workers_.Find(it->first);
    const bool gone = packer == nullptr || packer->lost || packer->draining();
    it = gone ? places.erase(it) : std::next(it);
  }
  while (places.size() > job.spec().workers().packers().max()) {
    places.erase(std::prev(places.end()));
  }
  if (auto mine = places.find(worker.name()); mine != places.end()) mine->second = now.steady;
}

std::optional<std::string> Coordinator::Impl::GivesPlace(const JobState& job, Instant now) const {
  const JobRuntime& runtime = runtimes_.find(job.name())->second;
  for (const auto& [packer, asked] : runtime.packers) {
    bool holds = false;
    bool late = false;
    for (uint64_t epoch : leases_.HeldBy(packer)) {
      const Lease* lease = leases_.Find(epoch);
      if (lease->item.job != job.name() || lease->item.kind != WorkKind::kWindow) continue;
      holds = true;
      late = late || Late(runtime, *lease, now);
    }
    if (late || (!holds && now.steady - asked > kIdleSeconds)) return packer;
  }
  return std::nullopt;
}

bool Coordinator::Impl::HasPlace(const JobState& job, const WorkerEntry& worker,
                                 Instant now) const {
  const std::map<std::string, double>& places = runtimes_.find(job.name())->second.packers;
  return places.count(worker.name()) > 0 || places.size() < job.spec().workers().packers().max() ||
         GivesPlace(job, now).has_value();
}

void Coordinator::Impl::TakePlace(const WorkItem& item, const WorkerEntry& worker, Instant now) {
  const JobState& job = *state_.Find(item.job);
  JobRuntime& runtime = runtimes_[item.job];
  if (runtime.packers.count(worker.name()) == 0 &&
      runtime.packers.size() >= job.spec().workers().packers().max()) {
    const auto failed = runtime.failures.find(item);
    if (failed == runtime.failures.end() ||
        runtime.packers.erase(failed->second.last_worker) == 0) {
      runtime.packers.erase(GivesPlace(job, now).value());
    }
  }
  runtime.packers[worker.name()] = now.steady;
}

bool Coordinator::Impl::MayLease(const JobRuntime& runtime, const WorkItem& item,
                                 const WorkerEntry& worker, bool place) const {
  if (leases_.FindItem(item) != nullptr) return false;
  const auto failed = runtime.failures.find(item);
  if (failed == runtime.failures.end()) return place;
  // What failed on a packer goes to another one, if there is one.
  if (failed->second.last_worker == worker.name()) {
    return place && ReadyPackers() == 1;
  }
  return place || runtime.packers.count(failed->second.last_worker) > 0;
}

}  // namespace navit
