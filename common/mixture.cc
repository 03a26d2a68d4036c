#include "common/mixture.h"

#include <algorithm>
#include <utility>

namespace navit {
namespace {

// Shares of 2^32; sums of them stay far below 2^64.
std::vector<uint64_t> Shares(const std::vector<double>& weights) {
  double sum = 0;
  for (const double weight : weights) sum += weight;
  std::vector<uint64_t> shares;
  for (const double weight : weights) {
    shares.push_back(std::max<uint64_t>(1, static_cast<uint64_t>(weight / sum * 0x1p32 + 0.5)));
  }
  return shares;
}

}  // namespace

Mixture::Mixture(const std::vector<double>& weights) : paths_(weights.size()) {
  const std::vector<uint64_t> shares = Shares(weights);
  // Trees not yet joined: (share, its data sets). Equal shares keep the order in which they came.
  std::vector<std::pair<uint64_t, std::vector<size_t>>> trees;
  for (size_t d = 0; d < shares.size(); ++d) trees.push_back({shares[d], {d}});
  const auto heavier = [](const auto& a, const auto& b) { return a.first > b.first; };
  std::stable_sort(trees.begin(), trees.end(), heavier);
  while (trees.size() > 1) {
    auto lightest = std::move(trees.back());
    trees.pop_back();
    auto joined = std::move(trees.back());
    trees.pop_back();
    const uint64_t both = joined.first + lightest.first;
    for (const size_t d : joined.second) paths_[d].push_back({joined.first, both, true});
    for (const size_t d : lightest.second) paths_[d].push_back({joined.first, both, false});
    joined.first = both;
    joined.second.insert(joined.second.end(), lightest.second.begin(), lightest.second.end());
    trees.insert(std::upper_bound(trees.begin(), trees.end(), joined, heavier), std::move(joined));
  }
  for (std::vector<Fork>& path : paths_) std::reverse(path.begin(), path.end());
}

uint64_t Mixture::Count(size_t dataset, uint64_t positions) const {
  using Wide = unsigned __int128;
  for (const Fork& fork : paths_[dataset]) {
    const auto first =
        static_cast<uint64_t>((Wide{positions} * fork.first + fork.both / 2) / fork.both);
    positions = fork.takes_first ? first : positions - first;
  }
  return positions;
}

uint64_t Mixture::PositionsFor(size_t dataset, uint64_t count) const {
  uint64_t low = 0;
  uint64_t high = (uint64_t{1} << 63) - 1;
  while (low < high) {
    const uint64_t middle = low + (high - low) / 2;
    if (Count(dataset, middle) < count) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

}  // namespace navit
