#include "packer/agent/lease_book.h"

#include <algorithm>
#include <utility>

namespace navit {

void LeaseBook::Add(uint64_t epoch, absl::Duration ttl, absl::Duration requested_at) {
  absl::MutexLock lock(&mutex_);
  Lease& lease = leases_[epoch];
  lease.ttl = ttl;
  lease.valid_until = requested_at + ttl;
}

bool LeaseBook::AttachWindow(uint64_t epoch, std::shared_ptr<const HeldWindow> window,
                             absl::Duration now) {
  absl::MutexLock lock(&mutex_);
  auto found = leases_.find(epoch);
  if (found == leases_.end() || found->second.valid_until < now) return false;
  found->second.window = std::move(window);
  return true;
}

void LeaseBook::Renew(const std::vector<uint64_t>& epochs, absl::Duration sent_at) {
  absl::MutexLock lock(&mutex_);
  for (uint64_t epoch : epochs) {
    auto found = leases_.find(epoch);
    if (found == leases_.end()) continue;
    Lease& lease = found->second;
    lease.valid_until = std::max(lease.valid_until, sent_at + lease.ttl);
  }
}

bool LeaseBook::Holds(uint64_t epoch, absl::Duration now) const {
  absl::MutexLock lock(&mutex_);
  auto found = leases_.find(epoch);
  return found != leases_.end() && found->second.valid_until >= now;
}

std::shared_ptr<const HeldWindow> LeaseBook::Window(uint64_t epoch, absl::Duration now) const {
  absl::MutexLock lock(&mutex_);
  auto found = leases_.find(epoch);
  if (found == leases_.end() || found->second.valid_until < now) return nullptr;
  return found->second.window;
}

std::vector<uint64_t> LeaseBook::Held(absl::Duration now, std::vector<uint64_t>* expired) {
  absl::MutexLock lock(&mutex_);
  std::vector<uint64_t> held;
  for (auto it = leases_.begin(); it != leases_.end();) {
    if (it->second.valid_until < now) {
      expired->push_back(it->first);
      leases_.erase(it++);
    } else {
      held.push_back(it->first);
      ++it;
    }
  }
  std::sort(held.begin(), held.end());
  return held;
}

bool LeaseBook::MarkMade(uint64_t epoch, uint32_t index) {
  absl::MutexLock lock(&mutex_);
  auto found = leases_.find(epoch);
  return found != leases_.end() && !found->second.made.insert(index).second;
}

void LeaseBook::Remove(uint64_t epoch) {
  absl::MutexLock lock(&mutex_);
  leases_.erase(epoch);
}

void LeaseBook::Clear() {
  absl::MutexLock lock(&mutex_);
  leases_.clear();
}

}  // namespace navit
