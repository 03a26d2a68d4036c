// Which pairs of a contrastive strip count, and which are positives, without comparing every row
// with every column.
#ifndef NAVIT_KERNELS_CONTRASTIVE_PAIRS_H_
#define NAVIT_KERNELS_CONTRASTIVE_PAIRS_H_

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "kernels/contrastive.h"

namespace navit::kernels {

// The strip's arrays must outlive this object.
class ContrastivePairs {
 public:
  explicit ContrastivePairs(const ContrastiveStrip& strip) : strip_(strip) {
    for (int64_t j = 0; j < strip.columns; ++j) {
      if (strip.column_valid != nullptr && strip.column_valid[j] == 0) {
        invalid_.push_back(j);
      } else if (strip.row_hash != nullptr && strip.column_hash[j] != 0) {
        by_hash_.emplace_back(strip.column_hash[j], j);
      }
    }
    std::sort(by_hash_.begin(), by_hash_.end());
  }

  // Sets to −∞ what does not count among columns [begin, end) of row i; z[0] is column `begin`.
  void Exclude(int64_t i, int64_t begin, int64_t end, float* z) const {
    constexpr float kNone = -std::numeric_limits<float>::infinity();
    if (strip_.positive[i] < 0) {
      std::fill(z, z + (end - begin), kNone);
      return;
    }
    for (auto it = std::lower_bound(invalid_.begin(), invalid_.end(), begin);
         it != invalid_.end() && *it < end; ++it) {
      z[*it - begin] = kNone;
    }
    if (strip_.equal_captions != EqualCaptions::kIgnored) return;
    ForEachEqual(i, begin, end, [&](int64_t j) {
      if (j != strip_.positive[i]) z[j - begin] = kNone;
    });
  }

  // Positives of row i over all columns; 0 for an invalid row.
  int64_t PositiveCount(int64_t i) const {
    int64_t count = 0;
    ForEachPositive(i, 0, strip_.columns, [&](int64_t) { ++count; });
    return count;
  }

  // Calls body(j) for the positives of row i among columns [begin, end), in ascending order.
  template <typename Body>
  void ForEachPositive(int64_t i, int64_t begin, int64_t end, Body body) const {
    const int64_t own = strip_.positive[i];
    if (own < 0) return;
    if (strip_.equal_captions == EqualCaptions::kPositive && HasHash(i)) {
      ForEachEqual(i, begin, end, body);
    } else if (own >= begin && own < end && IsValid(own)) {
      body(own);
    }
  }

 private:
  bool HasHash(int64_t i) const { return strip_.row_hash != nullptr && strip_.row_hash[i] != 0; }
  bool IsValid(int64_t j) const {
    return strip_.column_valid == nullptr || strip_.column_valid[j] != 0;
  }

  // Calls body(j) for the valid columns [begin, end) that have the hash of row i.
  template <typename Body>
  void ForEachEqual(int64_t i, int64_t begin, int64_t end, Body body) const {
    if (!HasHash(i)) return;
    for (auto it = std::lower_bound(by_hash_.begin(), by_hash_.end(),
                                    std::pair(strip_.row_hash[i], begin));
         it != by_hash_.end() && it->first == strip_.row_hash[i] && it->second < end; ++it) {
      body(it->second);
    }
  }

  const ContrastiveStrip strip_;
  std::vector<int64_t> invalid_;
  std::vector<std::pair<uint64_t, int64_t>> by_hash_;  // (hash, column) of valid ones, sorted
};

}  // namespace navit::kernels

#endif  // NAVIT_KERNELS_CONTRASTIVE_PAIRS_H_
