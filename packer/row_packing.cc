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
// The last items of a balanced row are chosen, so many, among the next ones that fit; and how much
// more than the wished number of them there may be.
constexpr uint32_t kChosen = 6;
constexpr uint32_t kChoices = 128;
constexpr uint32_t kBalancedLookAhead = 255;
constexpr uint32_t kMore = 2;
// Fewer choices where capacity and numbers make each of them slow: words of sums for a row.
constexpr uint32_t kMostWords = 1 << 18;

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

// The items left, oldest first.
class ItemList {
 public:
  explicit ItemList(uint32_t items) : end_(items), next_(items + 1), previous_(items + 1) {
    for (uint32_t i = 0; i <= items; ++i) {
      next_[i] = i < items ? i + 1 : 0;
      previous_[next_[i]] = i;
    }
  }
  bool empty() const { return next_[end_] == end_; }
  uint32_t oldest() const { return next_[end_]; }
  uint32_t end() const { return end_; }
  uint32_t After(uint32_t item) const { return next_[item]; }
  void Remove(uint32_t item) {
    next_[previous_[item]] = next_[item];
    previous_[next_[item]] = previous_[item];
  }

 private:
  // A ring through `end_`.
  const uint32_t end_;
  std::vector<uint32_t> next_;
  std::vector<uint32_t> previous_;
};

// For the first 0, 1, .. of some items: which sums, up to a limit, any `count` of them have.
class CountedSums {
 public:
  // No items yet.
  void Reset(uint32_t most_items, uint32_t most_count, uint32_t limit) {
    words_ = limit / 64 + 1;
    layer_ = words_ * (most_count + 1);
    most_count_ = most_count;
    if (bits_.size() < layer_ * (most_items + 1)) bits_.resize(layer_ * (most_items + 1));
    items_ = 0;
    std::fill_n(bits_.begin(), layer_, 0);
    bits_[0] = 1;
  }
  void Add(uint32_t tokens) {
    const uint64_t* from = &bits_[layer_ * items_++];
    uint64_t* to = &bits_[layer_ * items_];
    const size_t shift = tokens / 64;
    const unsigned bits = tokens % 64;
    std::copy_n(from, layer_, to);
    for (uint32_t count = 0; count < most_count_; ++count, from += words_) {
      to += words_;
      for (size_t w = shift; w < words_; ++w) {
        uint64_t moved = from[w - shift] << bits;
        if (bits != 0 && w > shift) moved |= from[w - shift - 1] >> (64 - bits);
        to[w] |= moved;
      }
    }
  }
  bool Has(uint32_t items, uint32_t count, uint32_t sum) const {
    return bits_[layer_ * items + words_ * count + sum / 64] >> (sum % 64) & 1;
  }
  uint32_t items() const { return items_; }
  // Largest sum of `count` items that is at most `sum`; -1: none.
  int64_t Largest(uint32_t count, uint32_t sum) const {
    const uint64_t* bits = &bits_[layer_ * items_ + words_ * count];
    uint64_t mask = ~uint64_t{0} >> (63 - sum % 64);
    for (size_t w = sum / 64 + 1; w-- > 0; mask = ~uint64_t{0}) {
      if (const uint64_t word = bits[w] & mask; word != 0) {
        return static_cast<int64_t>(64 * w + 63) - __builtin_clzll(word);
      }
    }
    return -1;
  }

 private:
  size_t words_ = 0;
  // Words of the sums of all counts.
  size_t layer_ = 0;
  uint32_t most_count_ = 0;
  uint32_t items_ = 0;
  std::vector<uint64_t> bits_;
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
  ItemList left(static_cast<uint32_t>(tokens.size()));
  std::vector<Sums> sums(kLookAhead + 1);
  std::vector<uint32_t> seen;
  std::vector<uint32_t> chosen;
  Rows rows;
  while (!left.empty()) {
    const uint32_t oldest = left.oldest();
    const uint32_t rest = capacity - tokens[oldest];
    sums[0].Resize(rest);
    sums[0].Set(0);
    seen.clear();
    for (uint32_t i = left.After(oldest); i != left.end() && seen.size() < kLookAhead;
         i = left.After(i)) {
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
    for (const uint32_t item : chosen) left.Remove(item);
  }
  return rows;
}

Rows PackBalanced(absl::Span<const uint32_t> tokens, uint32_t capacity, uint32_t max_items) {
  ItemList left(static_cast<uint32_t>(tokens.size()));
  uint64_t tokens_left = Sum(tokens);
  uint64_t items_left = tokens.size();
  CountedSums sums;
  std::vector<uint32_t> seen;
  Rows rows;
  while (items_left > 0) {
    // Items of this row, if it is like the rest on average.
    const uint64_t mean_items = (2 * items_left * capacity + tokens_left) / (2 * tokens_left);
    const bool slots_decide = mean_items > max_items;
    const uint32_t wished = static_cast<uint32_t>(std::clamp<uint64_t>(mean_items, 1, max_items));
    std::vector<uint32_t>& row = rows.emplace_back();
    uint32_t room = capacity;
    const auto take = [&](uint32_t item) {
      row.push_back(item);
      left.Remove(item);
      room -= tokens[item];
      tokens_left -= tokens[item];
      --items_left;
    };
    // The oldest, which are as mixed as what is left.
    do {
      take(left.oldest());
    } while (row.size() + kChosen < wished && items_left > 0 && tokens[left.oldest()] <= room);

    const uint32_t taken = static_cast<uint32_t>(row.size());
    const uint32_t want = std::min(wished > taken ? wished - taken : 0, kChosen);
    const uint32_t most = std::min(max_items - taken, want + kMore);
    if (room == 0 || most == 0) continue;
    const uint32_t choices =
        std::clamp<uint32_t>(kMostWords / ((most + 1) * (room / 64 + 1)), 16, kChoices);
    sums.Reset(choices, most, room);
    seen.clear();
    uint32_t i = items_left > 0 ? left.oldest() : left.end();
    for (uint32_t k = 0; i != left.end() && k < kBalancedLookAhead && seen.size() < choices;
         ++k, i = left.After(i)) {
      if (tokens[i] > room) continue;
      seen.push_back(i);
      sums.Add(tokens[i]);
      if (sums.Has(sums.items(), want, room)) break;
    }
    // The count of the largest sum, of these the nearest to `want`; where there are too few slots,
    // the nearest to `want` alone.
    uint32_t count = 0;
    int64_t sum = 0;
    for (uint32_t off = 0; off <= most; ++off) {
      for (const int64_t c : {int64_t{want} + off, int64_t{want} - off}) {
        if (c < 1 || c > most || (slots_decide && sum > 0)) continue;
        const int64_t largest = sums.Largest(static_cast<uint32_t>(c), room);
        if (largest > sum) count = static_cast<uint32_t>(c), sum = largest;
      }
    }
    // Back from it, leaving out each item without which it is reachable.
    for (size_t k = seen.size(); k > 0; --k) {
      if (sums.Has(static_cast<uint32_t>(k - 1), count, static_cast<uint32_t>(sum))) continue;
      sum -= tokens[seen[k - 1]];
      --count;
      take(seen[k - 1]);
    }
    std::sort(row.begin(), row.end());
  }
  return rows;
}

Rows PackBestFit(absl::Span<uint32_t> tokens, uint32_t capacity, uint32_t max_items,
                 uint32_t tolerance, uint32_t fixed) {
  std::vector<uint32_t> order(tokens.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](uint32_t a, uint32_t b) { return tokens[a] > tokens[b]; });
  OpenRows open(capacity);
  Rows rows;
  for (const uint32_t item : order) {
    const uint32_t least =
        tokens[item] - static_cast<uint32_t>(uint64_t{tokens[item] - fixed} * tolerance >> 16);
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
                uint32_t tolerance, uint32_t fixed) {
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
  if (slots_bind && keep_if_fewer(PackBalanced(tokens, capacity, max_items))) return best;
  if (keep_if_fewer(PackSubsetSum(tokens, capacity, max_items))) return best;
  if (!slots_bind && keep_if_fewer(PackBalanced(tokens, capacity, max_items))) return best;
  std::vector<uint32_t> fitted(tokens.begin(), tokens.end());
  Rows best_fit = PackBestFit(absl::MakeSpan(fitted), capacity, max_items, tolerance, fixed);
  if (best_fit.size() < best.size()) {
    std::copy(fitted.begin(), fitted.end(), tokens.begin());
    best = std::move(best_fit);
  }
  return best;
}

}  // namespace navit
