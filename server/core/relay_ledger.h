// Which packs of one job the relay holds, has granted or misses: bookkeeping without bytes.
#ifndef NAVIT_SERVER_CORE_RELAY_LEDGER_H_
#define NAVIT_SERVER_CORE_RELAY_LEDGER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "server/core/deal.h"

namespace navit {

// Packs are named by ordinal. A pack from next_ordinal() on is missing, granted (a packer makes it
// under a lease) or present. A granted pack is charged with max_pack_bytes until it arrives, so
// that present bytes plus what may still arrive never exceed the budget (invariant I5).
class RelayLedger {
 public:
  // Requires budget_bytes >= max_pack_bytes times the packs of one step.
  RelayLedger(uint64_t budget_bytes, uint64_t max_pack_bytes)
      : budget_bytes_(budget_bytes), max_pack_bytes_(max_pack_bytes) {}

  struct Grant {
    uint64_t ordinal = 0;
    uint64_t lease = 0;
  };
  // Grants at most `most` missing packs of [next_ordinal(), end), lowest first, to the leases that
  // `lease_of` names (nullopt: nobody can make the pack now). Packs of [next_ordinal(),
  // oldest_step_end) are the oldest uncommitted step: room for those of them that are missing is
  // kept always, by evicting the highest ordinals; what is evicted goes to `dropped` and is missing
  // again.
  std::vector<Grant> GrantMissing(
      uint64_t oldest_step_end, uint64_t end, size_t most,
      const std::function<std::optional<uint64_t>(uint64_t ordinal)>& lease_of,
      std::vector<uint64_t>* dropped);

  enum class Arrival {
    kKept,
    // Present already, below next_ordinal(), or not granted to this lease (now, or before it was
    // hedged): drop the bytes.
    kNotWanted,
  };
  // INVALID_ARGUMENT: larger than max_pack_bytes. DATA_LOSS: an earlier copy of the pack had
  // another content hash.
  // `direct`: the bytes stay with the packer that holds `lease`.
  absl::StatusOr<Arrival> Arrive(uint64_t ordinal, uint64_t lease, uint64_t bytes,
                                 const PackCost& cost, bool direct = false);

  // A granted pack is granted to `lease` as well; whichever copy arrives first is kept. False: it
  // is not granted, or hedged already.
  bool Hedge(uint64_t ordinal, uint64_t lease);
  // Packs granted under `lease` are missing again. Returns how many.
  size_t Revoke(uint64_t lease);
  // Present packs whose bytes stay with the holder of `lease` are missing again: it cannot give
  // them. Returns them.
  std::vector<uint64_t> ForgetDirect(uint64_t lease);
  struct DirectPack {
    uint64_t ordinal = 0;
    uint64_t lease = 0;
  };
  // Packs that stayed with packers and were dropped since the last call, whatever dropped them.
  std::vector<DirectPack> TakeDroppedDirect() { return std::exchange(dropped_direct_, {}); }
  // The first ordinal of the oldest uncommitted step is now `ordinal`: up (commit: the packs before
  // it are dropped) or down (rollback). Returns the present packs that were dropped.
  std::vector<uint64_t> SetNextOrdinal(uint64_t ordinal);
  // Nothing is wanted any more: drops and revokes all.
  std::vector<uint64_t> Clear();

  uint64_t next_ordinal() const { return next_ordinal_; }
  bool Present(uint64_t ordinal) const;
  // Requires Present(ordinal).
  const PackCost& Cost(uint64_t ordinal) const { return entries_.at(ordinal).cost; }
  uint64_t Bytes(uint64_t ordinal) const { return entries_.at(ordinal).bytes; }
  // All of [first, end) present?
  bool AllPresent(uint64_t first, uint64_t end) const;
  // The lease under which a pack is granted; nullopt: it is not.
  std::optional<uint64_t> LeaseOf(uint64_t ordinal) const;
  // Packs granted under `lease`.
  size_t Granted(uint64_t lease) const;

  uint64_t budget_bytes() const { return budget_bytes_; }
  uint64_t present_bytes() const { return present_bytes_; }
  uint64_t present_packs() const { return entries_.size() - granted_packs_; }
  uint64_t granted_packs() const { return granted_packs_; }
  // Present bytes and charges of granted packs.
  uint64_t charged_bytes() const { return present_bytes_ + granted_packs_ * max_pack_bytes_; }

 private:
  struct Entry {
    bool present = false;
    // Present, but with the holder of `lease`.
    bool direct = false;
    uint64_t lease = 0;
    // The lease under which it was granted before it was hedged; 0: it is not.
    uint64_t late_lease = 0;
    uint64_t bytes = 0;
    PackCost cost;
  };
  bool EvictAbove(uint64_t ordinal, std::vector<uint64_t>* dropped);
  void Erase(std::map<uint64_t, Entry>::iterator it);
  void CountDown(uint64_t lease);

  const uint64_t budget_bytes_;
  const uint64_t max_pack_bytes_;
  uint64_t next_ordinal_ = 0;
  uint64_t present_bytes_ = 0;
  uint64_t granted_packs_ = 0;
  std::map<uint64_t, Entry> entries_;
  std::map<uint64_t, size_t> granted_by_lease_;
  // Content hashes of packs that were present once, from next_ordinal() on.
  std::map<uint64_t, uint64_t> hashes_;
  std::vector<DirectPack> dropped_direct_;
};

}  // namespace navit

#endif  // NAVIT_SERVER_CORE_RELAY_LEDGER_H_
