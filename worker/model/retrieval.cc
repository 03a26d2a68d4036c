#include "worker/model/retrieval.h"

#include <limits>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace navit {
namespace {

constexpr size_t kCutoffs = RetrievalResult::kRanks.size();

float Dot(const float* a, const float* b, int64_t dim) {
  // Independent partial sums, which the compiler keeps in SIMD lanes.
  constexpr int64_t kLanes = 16;
  float sums[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= dim; i += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) sums[lane] += a[i + lane] * b[i + lane];
  }
  float total = 0;
  for (const float sum : sums) total += sum;
  for (; i < dim; ++i) total += a[i] * b[i];
  return total;
}

// Shares of the rows of `queries` whose nearest rows of `items` hold a match.
std::array<double, kCutoffs> Recall(absl::Span<const float> queries, absl::Span<const float> items,
                                    int64_t dim, absl::Span<const uint64_t> hashes) {
  const int64_t n = static_cast<int64_t>(hashes.size());
  std::array<int64_t, kCutoffs> hits = {};
  std::vector<float> scores(n);
  for (int64_t query = 0; query < n; ++query) {
    float best = -std::numeric_limits<float>::infinity();
    for (int64_t item = 0; item < n; ++item) {
      scores[item] = Dot(&queries[query * dim], &items[item * dim], dim);
      // Written so that a NaN becomes the best match and then loses to every other item.
      if (hashes[item] == hashes[query] && !(scores[item] <= best)) best = scores[item];
    }
    int64_t ahead = 0;
    for (int64_t item = 0; item < n; ++item) {
      if (hashes[item] != hashes[query] && !(scores[item] < best)) ++ahead;
    }
    for (size_t k = 0; k < kCutoffs; ++k) hits[k] += ahead < RetrievalResult::kRanks[k];
  }
  std::array<double, kCutoffs> shares;
  for (size_t k = 0; k < kCutoffs; ++k) shares[k] = static_cast<double>(hits[k]) / n;
  return shares;
}

// 1 - C(n - matches, k) / C(n, k).
double Chance(int64_t n, int64_t matches, int64_t k) {
  double miss = 1;
  for (int64_t i = 0; i < k && i < n; ++i) {
    const int64_t others = n - matches - i;
    if (others <= 0) return 1;
    miss *= static_cast<double>(others) / static_cast<double>(n - i);
  }
  return 1 - miss;
}

}  // namespace

RetrievalResult Retrieve(absl::Span<const float> images, absl::Span<const float> texts, int64_t dim,
                         absl::Span<const uint64_t> caption_hashes) {
  RetrievalResult result;
  result.pairs = static_cast<int64_t>(caption_hashes.size());
  if (result.pairs == 0) return result;
  result.image_to_text = Recall(images, texts, dim, caption_hashes);
  result.text_to_image = Recall(texts, images, dim, caption_hashes);
  absl::flat_hash_map<uint64_t, int64_t> counts;
  for (const uint64_t hash : caption_hashes) ++counts[hash];
  for (const auto& [hash, count] : counts) {
    for (size_t k = 0; k < kCutoffs; ++k) {
      result.chance[k] += static_cast<double>(count) / result.pairs *
                          Chance(result.pairs, count, RetrievalResult::kRanks[k]);
    }
  }
  return result;
}

}  // namespace navit
