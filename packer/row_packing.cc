#include "packer/row_packing.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <numeric>
#include <utility>

namespace navit {
namespace {

// Items that a subset-sum row looks at after its oldest one.
constexpr uint32_t kLookAhead = 127;

uint64_t Sum(absl::Span<const uint32_t> tokens) {
  return std::accumulate(tokens.begin(), tokens.end(), uint64_t{0});
}

// A set of sums 0..limit, one bit each.
class Sums {
 public:
  void Resize(uint32_t limit) { words_.assign(limit / 64 + 1, 0), limit_ = limit; }
  void Set(uint32_t sum) { words_[sum / 64] |= uint64_t{1} << (sum % 64); }
  bool Has(uint32_t sum) const { return words_[sum / 64] >> (sum % 64) & 1; }
  // *this = from, and every sum of `from` plus `tokens`, up to the limit.
  void Extend(const Sums& from, uint32_t tokens) {
    limit_ = from.limit_;
    const size_t shift = tokens / 64;
    const unsigned bits = tokens % 64;
    const size_t size = from.words_.size();
    words_.resize(size);
    for (size_t w = 0; w < size; ++w) {
      uint64_t moved = 0;
      if (w >= shift) moved = from.words_[w - shift] << bits;
      if (bits != 0 && w > shift) moved |= from.words_[w - shift - 1] >> (64 - bits);
      words_[w] = from.words_[w] | moved;
    }
  }
  // Largest sum within the limit; 0 is always there.
  uint32_t Largest() const {
    uint32_t sum = limit_;
    while (!Has(sum)) --sum;
    return sum;
  }

 private:
  std::vector<uint64_t> words_;
  uint32_t limit_ = 0;
};

// A set of numbers 1..limit.
class NumberSet {
 public:
  explicit NumberSet(uint32_t limit) : words_(limit / 64 + 1, 0) {}
  void Set(uint32_t number) { words_[number / 64] |= uint64_t{1} << (number % 64); }
  void Clear(uint32_t number) { words_[number / 64] &= ~(uint64_t{1} << (number % 64)); }
  // Largest member <= `number`; 0: none.
  uint32_t AtMost(uint32_t number) const {
    size_t w = number / 64;
    uint64_t word = words_[w] & (~uint64_t{0} >> (63 - number % 64));
    while (word == 0) {
      if (w == 0) return 0;
      word = words_[--w];
    }
    return static_cast<uint32_t>(w * 64 + 63 - __builtin_clzll(word));
  }
  // Smallest member >= `number`; 0: none. Requires number <= limit.
  uint32_t AtLeast(uint32_t number) const {
    size_t w = number / 64;
    uint64_t word = words_[w] & (~uint64_t{0} << (number % 64));
    while (word == 0) {
      if (++w == words_.size()) return 0;
      word = words_[w];
    }
    return static_cast<uint32_t>(w * 64 + __builtin_ctzll(word));
  }

 private:
  std::vector<uint64_t> words_;
};

// Items by token count, oldest first within a count, with a bit set of the counts that are left.
class SizeBuckets {
 public:
  SizeBuckets(absl::Span<const uint32_t> tokens, uint32_t capacity)
      : first_(capacity + 2, 0), taken_(capacity + 1, 0), sizes_(capacity) {
    for (const uint32_t t : tokens) ++first_[t + 1];
    std::partial_sum(first_.begin(), first_.end(), first_.begin());
    items_.resize(tokens.size());
    std::vector<uint32_t> next(first_.begin(), first_.end() - 1);
    for (uint32_t i = 0; i < tokens.size(); ++i) {
      items_[next[tokens[i]]++] = i;
      sizes_.Set(tokens[i]);
    }
  }
  uint32_t Left(uint32_t size) const { return first_[size + 1] - first_[size] - taken_[size]; }
  uint32_t Take(uint32_t size) {
    const uint32_t item = items_[first_[size] + taken_[size]++];
    if (Left(size) == 0) sizes_.Clear(size);
    return item;
  }
  // Largest count <= size, smallest count >= size that is left; 0: none.
  uint32_t AtMost(uint32_t size) const { return sizes_.AtMost(size); }
  uint32_t AtLeast(uint32_t size) const { return sizes_.AtLeast(size); }
  // The count left that is nearest to `wished`, at most `limit`; 0: none.
  uint32_t Nearest(uint32_t wished, uint32_t limit) const {
    const uint32_t below = AtMost(std::min(wished, limit));
    const uint32_t above = wished <= limit ? AtLeast(wished) : 0;
    if (above == 0 || above > limit) return below;
    if (below == 0) return above;
    return above - wished <= wished - below ? above : below;
  }
  // Larger of two counts left whose sum is exactly `sum`, as equal as possible; 0: none.
  uint32_t ExactPair(uint32_t sum) const {
    for (uint32_t small = AtMost(sum / 2); small != 0; small = small > 1 ? AtMost(small - 1) : 0) {
      const uint32_t large = sum - small;
      if (large < first_.size() - 1 && Left(large) >= (large == small ? 2u : 1u)) return large;
    }
    return 0;
  }

 private:
  // items_[first_[size] + taken_[size], first_[size + 1]) are the items left of a count.
  std::vector<uint32_t> first_;
  std::vector<uint32_t> taken_;
  std::vector<uint32_t> items_;
  NumberSet sizes_;
};

// Rows that are not full, by the room that is left in them; the one opened or used last first.
class OpenRows {
 public:
  explicit OpenRows(uint32_t capacity) : rows_(capacity + 1), rooms_(capacity) {}
  void Add(uint32_t room, uint32_t row) {
    rows_[room].push_back(row);
    rooms_.Set(room);
  }
  uint32_t Take(uint32_t room) {
    const uint32_t row = rows_[room].back();
    rows_[room].pop_back();
    if (rows_[room].empty()) rooms_.Clear(room);
    return row;
  }
  // Largest room <= `tokens`, smallest room >= `tokens`; 0: none.
  uint32_t AtMost(uint32_t tokens) const { return rooms_.AtMost(tokens); }
  uint32_t AtLeast(uint32_t tokens) const { return rooms_.AtLeast(tokens); }

 private:
  std::vector<std::vector<uint32_t>> rows_;
  NumberSet rooms_;
};

}  // namespace

Rows PackSubsetSum(absl::Span<const uint32_t> tokens, uint32_t capacity, uint32_t max_items) {
  const uint32_t end = static_cast<uint32_t>(tokens.size());
  std::vector<uint32_t> next(end + 1);  // items left, as a list; next[end] is the first
  for (uint32_t i = 0; i < end; ++i) next[i] = i + 1;
  next[end] = 0;
  std::vector<Sums> sums(kLookAhead + 1);
  std::vector<uint32_t> seen;
  std::vector<uint32_t> chosen;
  Rows rows;
  while (next[end] != end) {
    const uint32_t oldest = next[end];
    const uint32_t rest = capacity - tokens[oldest];
    sums[0].Resize(rest);
    sums[0].Set(0);
    seen.clear();
    for (uint32_t i = next[oldest]; i != end && seen.size() < kLookAhead; i = next[i]) {
      seen.push_back(i);
      sums[seen.size()].Extend(sums[seen.size() - 1], tokens[i]);
      if (sums[seen.size()].Has(rest)) break;
    }
    // Back from the best sum, leaving out each item without which the sum is reachable.
    chosen.clear();
    uint32_t sum = sums[seen.size()].Largest();
    for (size_t k = seen.size(); k > 0; --k) {
      if (sums[k - 1].Has(sum)) continue;
      chosen.push_back(seen[k - 1]);
      sum -= tokens[seen[k - 1]];
    }
    if (chosen.size() > max_items - 1) {
      // Rare where this function is the right one: keep the largest.
      std::stable_sort(chosen.begin(), chosen.end(),
                       [&](uint32_t a, uint32_t b) { return tokens[a] > tokens[b]; });
      chosen.resize(max_items - 1);
    }
    chosen.push_back(oldest);
    std::sort(chosen.begin(), chosen.end());
    rows.push_back(chosen);
    // Take the chosen ones out of the list; they are in its order.
    uint32_t previous = end;
    for (const uint32_t item : chosen) {
      while (next[previous] != item) previous = next[previous];
      next[previous] = next[item];
    }
  }
  return rows;
}

Rows PackBySlots(absl::Span<const uint32_t> tokens, uint32_t capacity, uint32_t max_items) {
  SizeBuckets left(tokens, capacity);
  uint64_t tokens_left = Sum(tokens);
  uint64_t items_left = tokens.size();
  Rows rows;
  while (items_left > 0) {
    // Items of this row, if it is like the rest on average.
    const uint64_t mean_items = (2 * items_left * capacity + tokens_left) / (2 * tokens_left);
    const uint32_t wished = static_cast<uint32_t>(std::clamp<uint64_t>(mean_items, 1, max_items));
    std::vector<uint32_t>& row = rows.emplace_back();
    uint32_t room = capacity;
    const auto take = [&](uint32_t size) {
      row.push_back(left.Take(size));
      room -= size;
      tokens_left -= size;
      --items_left;
    };
    take(left.AtMost(capacity));
    while (room > 0 && items_left > 0 && row.size() < max_items) {
      const uint32_t slots = wished > row.size() ? wished - static_cast<uint32_t>(row.size()) : 1;
      uint32_t size = 0;
      if (slots == 2) size = left.ExactPair(room);
      if (size == 0) size = left.Nearest((room + slots - 1) / slots, room);
      if (size == 0) break;
      take(size);
    }
    std::sort(row.begin(), row.end());
  }
  return rows;
}

Rows PackBestFit(absl::Span<uint32_t> tokens, uint32_t capacity, uint32_t max_items,
                 uint32_t tolerance) {
  std::vector<uint32_t> order(tokens.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](uint32_t a, uint32_t b) { return tokens[a] > tokens[b]; });
  OpenRows open(capacity);
  Rows rows;
  for (const uint32_t item : order) {
    const uint32_t least =
        tokens[item] - static_cast<uint32_t>(uint64_t{tokens[item]} * tolerance >> 16);
    // The largest room that a cut to it fills, unless the item fits some room exactly.
    uint32_t room = open.AtMost(tokens[item]);
    if (room == 0 || room < least) room = open.AtLeast(tokens[item]);
    uint32_t row;
    if (room == 0) {
      row = static_cast<uint32_t>(rows.size());
      rows.emplace_back();
      room = capacity;
    } else {
      row = open.Take(room);
      tokens[item] = std::min(tokens[item], room);
    }
    rows[row].push_back(item);
    if (room > tokens[item] && rows[row].size() < max_items) open.Add(room - tokens[item], row);
  }
  for (std::vector<uint32_t>& row : rows) std::sort(row.begin(), row.end());
  return rows;
}

Rows PackNextFit(absl::Span<const uint32_t> tokens, uint32_t capacity, uint32_t max_items) {
  Rows rows;
  uint32_t room = 0;
  for (uint32_t i = 0; i < tokens.size(); ++i) {
    if (rows.empty() || tokens[i] > room || rows.back().size() == max_items) {
      rows.emplace_back();
      room = capacity;
    }
    rows.back().push_back(i);
    room -= tokens[i];
  }
  return rows;
}

Rows PackFirstFit(absl::Span<const uint32_t> tokens, uint32_t capacity, uint32_t max_items,
                  uint32_t open_rows) {
  struct Open {
    size_t row;
    uint32_t room;
  };
  Rows rows;
  std::vector<Open> open;
  for (uint32_t i = 0; i < tokens.size(); ++i) {
    auto fit =
        std::find_if(open.begin(), open.end(), [&](const Open& o) { return o.room >= tokens[i]; });
    if (fit == open.end()) {
      if (open.size() == open_rows) {
        open.erase(std::min_element(open.begin(), open.end(),
                                    [](const Open& a, const Open& b) { return a.room < b.room; }));
      }
      rows.emplace_back();
      fit = open.insert(open.end(), {rows.size() - 1, capacity});
    }
    rows[fit->row].push_back(i);
    fit->room -= tokens[i];
    if (fit->room == 0 || rows[fit->row].size() == max_items) open.erase(fit);
  }
  return rows;
}

Rows PackWindow(absl::Span<uint32_t> tokens, uint32_t capacity, uint32_t max_items,
                uint32_t tolerance) {
  if (tokens.empty()) return {};
  const uint64_t total = Sum(tokens);
  const uint64_t filled = tokens.size() * uint64_t{capacity};  // total x items of a full row
  const uint64_t fewest =
      std::max((total + capacity - 1) / capacity, (tokens.size() + max_items - 1) / max_items);
  Rows best;
  const auto keep_if_fewer = [&](Rows rows) {
    if (best.empty() || rows.size() < best.size()) best = std::move(rows);
    return best.size() <= fewest;
  };
  const bool slots_bind = 5 * filled > 4 * total * max_items;
  if (slots_bind && keep_if_fewer(PackBySlots(tokens, capacity, max_items))) return best;
  if (keep_if_fewer(PackSubsetSum(tokens, capacity, max_items))) return best;
  std::vector<uint32_t> fitted(tokens.begin(), tokens.end());
  Rows best_fit = PackBestFit(absl::MakeSpan(fitted), capacity, max_items, tolerance);
  if (best_fit.size() < best.size()) {
    std::copy(fitted.begin(), fitted.end(), tokens.begin());
    best = std::move(best_fit);
  }
  return best;
}

}  // namespace navit
