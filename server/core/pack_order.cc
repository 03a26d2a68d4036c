#include "server/core/pack_order.h"

#include <algorithm>
#include <limits>

namespace navit {

uint64_t GroupRow::PacksBefore(uint32_t rounds) const {
  uint64_t sum = 0;
  for (uint32_t packs : window_packs) sum += std::min(packs, rounds);
  return sum;
}

void PackOrder::Append(const v1::GroupPlanned& group) {
  GroupRow row;
  row.first_pack = group.first_pack();
  row.first_sample = group.first_sample();
  row.window_packs.assign(group.window_packs().begin(), group.window_packs().end());
  row.window_digests.assign(group.window_digests().begin(), group.window_digests().end());
  for (uint32_t packs : row.window_packs) row.packs += packs;
  groups_.push_back(std::move(row));
}

uint64_t PackOrder::packs() const {
  return groups_.empty() ? 0 : groups_.back().first_pack + groups_.back().packs;
}

uint64_t PackOrder::windows() const {
  if (groups_.empty()) return 0;
  return (groups_.size() - 1) * windows_per_group_ + groups_.back().window_packs.size();
}

uint64_t PackOrder::GroupOf(uint64_t ordinal) const {
  // The last group that starts at or before the ordinal: groups without packs come before it.
  auto after = std::upper_bound(
      groups_.begin(), groups_.end(), ordinal,
      [](uint64_t value, const GroupRow& group) { return value < group.first_pack; });
  return after - groups_.begin() - 1;
}

PackPlace PackOrder::Locate(uint64_t ordinal) const {
  const uint64_t group_number = GroupOf(ordinal);
  const GroupRow& group = groups_[group_number];
  const uint64_t offset = ordinal - group.first_pack;
  // The round of the pack: the largest one with at most `offset` packs before it.
  uint32_t low = 0;
  uint32_t high = *std::max_element(group.window_packs.begin(), group.window_packs.end());
  while (high - low > 1) {
    const uint32_t middle = low + (high - low) / 2;
    (group.PacksBefore(middle) <= offset ? low : high) = middle;
  }
  uint64_t left = offset - group.PacksBefore(low);
  for (size_t i = 0; i < group.window_packs.size(); ++i) {
    if (group.window_packs[i] <= low) continue;
    if (left == 0) return {group_number * windows_per_group_ + i, low};
    --left;
  }
  return {};  // Not reached: offset < group.packs.
}

uint64_t PackOrder::Ordinal(uint64_t window, uint32_t index) const {
  const GroupRow& group = groups_[window / windows_per_group_];
  const uint64_t place = window % windows_per_group_;
  uint64_t ordinal = group.first_pack + group.PacksBefore(index);
  for (uint64_t i = 0; i < place; ++i) ordinal += group.window_packs[i] > index ? 1 : 0;
  return ordinal;
}

uint32_t PackOrder::PacksOf(uint64_t window) const {
  return groups_[window / windows_per_group_].window_packs[window % windows_per_group_];
}

uint64_t PackOrder::DigestOf(uint64_t window) const {
  return groups_[window / windows_per_group_].window_digests[window % windows_per_group_];
}

uint64_t PackOrder::NextOrdinal(uint64_t window, uint64_t from) const {
  const uint32_t packs = PacksOf(window);
  uint32_t low = 0;
  uint32_t high = packs;
  while (low < high) {
    const uint32_t middle = low + (high - low) / 2;
    if (Ordinal(window, middle) < from) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low == packs ? std::numeric_limits<uint64_t>::max() : Ordinal(window, low);
}

}  // namespace navit
