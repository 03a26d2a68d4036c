#include "server/core/relay_ledger.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace navit {

std::vector<RelayLedger::Grant> RelayLedger::GrantMissing(
    uint64_t oldest_step_end, uint64_t end, size_t most,
    const std::function<std::optional<uint64_t>(uint64_t ordinal)>& lease_of,
    std::vector<uint64_t>* dropped) {
  // Missing packs of the oldest step, and so the room that no later pack may take.
  uint64_t oldest_missing = 0;
  for (uint64_t o = next_ordinal_; o < oldest_step_end; ++o) oldest_missing += !entries_.count(o);
  while (charged_bytes() + oldest_missing * max_pack_bytes_ > budget_bytes_ &&
         EvictAbove(oldest_step_end, dropped)) {
  }
  std::vector<Grant> grants;
  auto known = entries_.lower_bound(next_ordinal_);
  for (uint64_t o = next_ordinal_; o < end && grants.size() < most; ++o) {
    while (known != entries_.end() && known->first < o) ++known;
    if (known != entries_.end() && known->first == o) continue;
    const bool oldest = o < oldest_step_end;
    const uint64_t kept_free = oldest ? 0 : oldest_missing * max_pack_bytes_;
    if (charged_bytes() + kept_free + max_pack_bytes_ > budget_bytes_) break;
    const std::optional<uint64_t> lease = lease_of(o);
    if (!lease.has_value()) continue;
    entries_[o].lease = *lease;
    ++granted_packs_;
    ++granted_by_lease_[*lease];
    if (oldest) --oldest_missing;
    grants.push_back({o, *lease});
  }
  return grants;
}

absl::StatusOr<RelayLedger::Arrival> RelayLedger::Arrive(uint64_t ordinal, uint64_t lease,
                                                         uint64_t bytes, const PackCost& cost,
                                                         bool direct) {
  if (bytes > max_pack_bytes_) {
    return absl::InvalidArgumentError(absl::StrCat("pack ", ordinal, " has ", bytes,
                                                   " bytes, the job's packs have at most ",
                                                   max_pack_bytes_));
  }
  if (ordinal < next_ordinal_) return Arrival::kNotWanted;
  auto hash = hashes_.find(ordinal);
  if (hash != hashes_.end() && hash->second != cost.content_hash) {
    return absl::DataLossError(absl::StrCat("pack ", ordinal, " has content hash ",
                                            absl::Hex(cost.content_hash), ", an earlier copy had ",
                                            absl::Hex(hash->second)));
  }
  auto it = entries_.find(ordinal);
  if (it == entries_.end() || it->second.present ||
      (it->second.lease != lease && it->second.late_lease != lease)) {
    return Arrival::kNotWanted;
  }
  Entry& entry = it->second;
  --granted_packs_;
  CountDown(entry.lease);
  entry.present = true;
  entry.direct = direct;
  entry.lease = lease;
  entry.bytes = bytes;
  entry.cost = cost;
  present_bytes_ += bytes;
  hashes_[ordinal] = cost.content_hash;
  return Arrival::kKept;
}

bool RelayLedger::Hedge(uint64_t ordinal, uint64_t lease) {
  const auto it = entries_.find(ordinal);
  if (it == entries_.end() || it->second.present || it->second.late_lease != 0) return false;
  Entry& entry = it->second;
  CountDown(entry.lease);
  entry.late_lease = entry.lease;
  entry.lease = lease;
  ++granted_by_lease_[lease];
  return true;
}

size_t RelayLedger::Revoke(uint64_t lease) {
  size_t revoked = 0;
  if (!granted_by_lease_.count(lease)) return revoked;
  for (auto it = entries_.begin(); it != entries_.end();) {
    auto next = std::next(it);
    if (!it->second.present && it->second.lease == lease) {
      Erase(it);
      ++revoked;
    }
    it = next;
  }
  return revoked;
}

std::vector<uint64_t> RelayLedger::ForgetDirect(uint64_t lease) {
  std::vector<uint64_t> forgotten;
  for (auto it = entries_.begin(); it != entries_.end();) {
    auto next = std::next(it);
    if (it->second.direct && it->second.lease == lease) {
      forgotten.push_back(it->first);
      Erase(it);
    }
    it = next;
  }
  return forgotten;
}

std::vector<uint64_t> RelayLedger::SetNextOrdinal(uint64_t ordinal) {
  std::vector<uint64_t> dropped;
  while (!entries_.empty() && entries_.begin()->first < ordinal) {
    if (entries_.begin()->second.present) dropped.push_back(entries_.begin()->first);
    Erase(entries_.begin());
  }
  hashes_.erase(hashes_.begin(), hashes_.lower_bound(ordinal));
  next_ordinal_ = ordinal;
  return dropped;
}

std::vector<uint64_t> RelayLedger::Clear() {
  std::vector<uint64_t> dropped;
  for (const auto& [ordinal, entry] : entries_) {
    if (entry.present) dropped.push_back(ordinal);
    if (entry.direct) dropped_direct_.push_back({ordinal, entry.lease});
  }
  entries_.clear();
  granted_by_lease_.clear();
  hashes_.clear();
  present_bytes_ = 0;
  granted_packs_ = 0;
  return dropped;
}

bool RelayLedger::Present(uint64_t ordinal) const {
  auto it = entries_.find(ordinal);
  return it != entries_.end() && it->second.present;
}

bool RelayLedger::AllPresent(uint64_t first, uint64_t end) const {
  // Packs come about in order: while some are missing, the last one mostly is.
  if (first < end && !Present(end - 1)) return false;
  auto it = entries_.find(first);
  for (uint64_t o = first; o < end; ++o, ++it) {
    if (it == entries_.end() || it->first != o || !it->second.present) return false;
  }
  return true;
}

std::optional<uint64_t> RelayLedger::LeaseOf(uint64_t ordinal) const {
  auto it = entries_.find(ordinal);
  if (it == entries_.end() || it->second.present) return std::nullopt;
  return it->second.lease;
}

size_t RelayLedger::Granted(uint64_t lease) const {
  auto it = granted_by_lease_.find(lease);
  return it == granted_by_lease_.end() ? 0 : it->second;
}

bool RelayLedger::EvictAbove(uint64_t ordinal, std::vector<uint64_t>* dropped) {
  for (auto it = entries_.end(); it != entries_.begin();) {
    --it;
    if (it->first < ordinal) return false;
    if (!it->second.present) continue;  // On its way: it can be evicted once it is here.
    dropped->push_back(it->first);
    Erase(it);
    return true;
  }
  return false;
}

void RelayLedger::Erase(std::map<uint64_t, Entry>::iterator it) {
  if (it->second.present) {
    present_bytes_ -= it->second.bytes;
    if (it->second.direct) dropped_direct_.push_back({it->first, it->second.lease});
  } else {
    --granted_packs_;
    CountDown(it->second.lease);
  }
  entries_.erase(it);
}

void RelayLedger::CountDown(uint64_t lease) {
  const auto granted = granted_by_lease_.find(lease);
  if (--granted->second == 0) granted_by_lease_.erase(granted);
}

}  // namespace navit
