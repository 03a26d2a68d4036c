// Ordinals: the place of every pack of a job in one total order (DESIGN.md, section 3, point 5).
#ifndef NAVIT_SERVER_CORE_PACK_ORDER_H_
#define NAVIT_SERVER_CORE_PACK_ORDER_H_

#include <cstdint>
#include <vector>

#include "proto/events.pb.h"

namespace navit {

// A pack by its window and its place in the window's plan.
struct PackPlace {
  uint64_t window = 0;
  uint32_t index = 0;
  friend bool operator==(const PackPlace& a, const PackPlace& b) {
    return a.window == b.window && a.index == b.index;
  }
};

// Windows [group·K, group·K + window_packs.size()) and their packs, which take the ordinals from
// first_pack on, round-robin: round r takes pack r of every window that has one, in window order.
struct GroupRow {
  uint64_t first_pack = 0;
  uint64_t first_sample = 0;
  uint64_t packs = 0;
  std::vector<uint32_t> window_packs;
  std::vector<uint64_t> window_digests;

  // Packs in rounds [0, rounds).
  uint64_t PacksBefore(uint32_t rounds) const;
};

// All planned groups of a job, in order. Groups are never changed once planned, whatever rolls
// back.
class PackOrder {
 public:
  // `windows_per_group` (K) > 0.
  explicit PackOrder(uint32_t windows_per_group) : windows_per_group_(windows_per_group) {}

  // `group` must be number groups().size(), of at most K windows, and start at packs().
  void Append(const v1::GroupPlanned& group);

  uint32_t windows_per_group() const { return windows_per_group_; }
  const std::vector<GroupRow>& groups() const { return groups_; }
  // Packs and windows of all planned groups.
  uint64_t packs() const;
  uint64_t windows() const;
  bool Planned(uint64_t window) const { return window < windows(); }

  // Requires ordinal < packs().
  PackPlace Locate(uint64_t ordinal) const;
  uint64_t GroupOf(uint64_t ordinal) const;
  // Requires Planned(window) and index < PacksOf(window).
  uint64_t Ordinal(uint64_t window, uint32_t index) const;
  uint32_t PacksOf(uint64_t window) const;
  uint64_t DigestOf(uint64_t window) const;
  // The lowest ordinal >= `from` of a pack of `window`; UINT64_MAX if it has none.
  uint64_t NextOrdinal(uint64_t window, uint64_t from) const;

 private:
  uint32_t windows_per_group_;
  std::vector<GroupRow> groups_;
};

}  // namespace navit

#endif  // NAVIT_SERVER_CORE_PACK_ORDER_H_
