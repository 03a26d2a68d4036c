#include "server/core/leases.h"

namespace navit {

const Lease& LeaseTable::Grant(const WorkItem& item, const std::string& holder, double ttl_seconds,
                               double now) {
  const uint64_t epoch = next_epoch_++;
  Lease& lease = leases_[epoch];
  lease.epoch = epoch;
  lease.item = item;
  lease.holder = holder;
  lease.ttl_seconds = ttl_seconds;
  lease.granted = now;
  lease.expires = now + ttl_seconds;
  by_item_[item] = epoch;
  by_holder_[holder].insert(epoch);
  return lease;
}

Lease* LeaseTable::Find(uint64_t epoch) {
  auto it = leases_.find(epoch);
  return it == leases_.end() ? nullptr : &it->second;
}

const Lease* LeaseTable::Find(uint64_t epoch) const {
  auto it = leases_.find(epoch);
  return it == leases_.end() ? nullptr : &it->second;
}

const Lease* LeaseTable::FindItem(const WorkItem& item) const {
  auto it = by_item_.find(item);
  return it == by_item_.end() ? nullptr : Find(it->second);
}

bool LeaseTable::Renew(uint64_t epoch, const std::string& holder, double now) {
  Lease* lease = Find(epoch);
  if (lease == nullptr || lease->holder != holder) return false;
  lease->expires = now + lease->ttl_seconds;
  return true;
}

void LeaseTable::Release(uint64_t epoch) {
  auto it = leases_.find(epoch);
  if (it == leases_.end()) return;
  by_item_.erase(it->second.item);
  auto holder = by_holder_.find(it->second.holder);
  holder->second.erase(epoch);
  if (holder->second.empty()) by_holder_.erase(holder);
  leases_.erase(it);
}

std::vector<uint64_t> LeaseTable::Expired(double now) const {
  std::vector<uint64_t> epochs;
  for (const auto& [epoch, lease] : leases_) {
    if (lease.expires < now) epochs.push_back(epoch);
  }
  return epochs;
}

std::vector<uint64_t> LeaseTable::HeldBy(const std::string& holder) const {
  auto it = by_holder_.find(holder);
  if (it == by_holder_.end()) return {};
  return {it->second.begin(), it->second.end()};
}

std::vector<uint64_t> LeaseTable::OfJob(const std::string& job) const {
  std::vector<uint64_t> epochs;
  for (const auto& [epoch, lease] : leases_) {
    if (lease.item.job == job) epochs.push_back(epoch);
  }
  return epochs;
}

}  // namespace navit
