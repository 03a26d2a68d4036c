#include "server/host.h"

#include <algorithm>
#include <vector>

namespace navit {

CoordinatorHost::CoordinatorHost(Coordinator* core, Options options)
    : core_(core), options_(std::move(options)), thread_([this] { Run(); }) {}

CoordinatorHost::~CoordinatorHost() {
  stopping_ = true;
  wakeup_.Ring();
  thread_.join();
}

Instant CoordinatorHost::Now() const {
  return {absl::ToDoubleSeconds(options_.clock->SteadyNow()),
          absl::ToDoubleSeconds(options_.clock->UnixNow() - absl::UnixEpoch())};
}

void CoordinatorHost::DropNamed(Coordinator* core, PackBytes* packs) {
  for (const PackKey& key : core->TakeDropped()) packs->Drop(key);
}

void CoordinatorHost::OnCalled() {
  DropNamed(core_, &packs_);
  const uint64_t revision = core_->revision();
  if (revision == revision_ && core_->healthy()) return;
  revision_ = revision;
  wakeup_.Ring();
}

uint64_t CoordinatorHost::AddWaiter(std::shared_ptr<Waiter> waiter) {
  absl::MutexLock lock(&waiters_mutex_);
  waiters_.emplace(++last_waiter_, std::move(waiter));
  // Its first Poll must not wait for the next tick.
  wakeup_.Ring();
  return last_waiter_;
}

void CoordinatorHost::RemoveWaiter(uint64_t id) {
  std::shared_ptr<Waiter> removed;
  absl::MutexLock lock(&waiters_mutex_);
  const auto found = waiters_.find(id);
  if (found == waiters_.end()) return;
  removed = std::move(found->second);
  waiters_.erase(found);
}

void CoordinatorHost::Drain() {
  draining_ = true;
  wakeup_.Ring();
}

void CoordinatorHost::Run() {
  absl::Duration next_tick = SteadyNow();
  bool told_unhealthy = false;
  while (!stopping_) {
    wakeup_.Wait(std::max(absl::ZeroDuration(), next_tick - SteadyNow()));
    bool healthy = true;
    if (SteadyNow() >= next_tick) {
      healthy = Call([](Coordinator& core, PackBytes&, Instant now) {
        core.Tick(now);
        return core.healthy();
      });
      next_tick = SteadyNow() + options_.tick;
    }
    if (!healthy && !told_unhealthy) {
      told_unhealthy = true;
      if (options_.on_unhealthy) options_.on_unhealthy();
    }
    std::vector<std::shared_ptr<Waiter>> waiters;
    {
      absl::MutexLock lock(&waiters_mutex_);
      waiters.reserve(waiters_.size());
      for (const auto& [id, waiter] : waiters_) waiters.push_back(waiter);
    }
    for (const std::shared_ptr<Waiter>& waiter : waiters) waiter->Poll();
  }
}

}  // namespace navit
