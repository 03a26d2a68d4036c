#include "worker/model/diagnosis.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace navit {
namespace {

// Of query tokens [begin, end) of one head over the segment's keys.
float LargestLogit(const TowerConfig& tower, const float* qkv, int64_t head, int64_t begin,
                   int64_t end) {
  const int64_t stride = 3 * tower.width;
  float largest = -std::numeric_limits<float>::infinity();
  for (int64_t q = begin; q < end; ++q) {
    const float* query = qkv + q * stride + head * tower.head_dim();
    const int64_t keys_end = tower.causal ? q + 1 : end;
    for (int64_t k = begin; k < keys_end; ++k) {
      const float* key = qkv + k * stride + tower.width + head * tower.head_dim();
      largest = std::max(largest, std::inner_product(query, query + tower.head_dim(), key, 0.0f));
    }
  }
  return largest / std::sqrt(static_cast<float>(tower.head_dim()));
}

}  // namespace

double EmbeddingSpread(absl::Span<const float> rows, int64_t dim) {
  if (rows.empty()) return 0;
  const int64_t count = static_cast<int64_t>(rows.size()) / dim;
  double squares = 0;
  for (int64_t channel = 0; channel < dim; ++channel) {
    double sum = 0;
    for (int64_t row = 0; row < count; ++row) sum += rows[row * dim + channel];
    squares += (sum / static_cast<double>(count)) * (sum / static_cast<double>(count));
  }
  return std::max(0.0, 1 - squares);
}

double LargestAttentionLogit(const TowerConfig& tower, absl::Span<const int32_t> cu_seqlens,
                             const BlockActivations<>& activations, kernels::ThreadPool& pool) {
  const float* qkv = activations.qkv_normed;
  std::vector<float> largest(tower.heads, -std::numeric_limits<float>::infinity());
  int64_t pairs = 0;
  for (size_t s = 0; s + 1 < cu_seqlens.size() && pairs < kLargestLogitPairs; ++s) {
    const int64_t begin = cu_seqlens[s];
    const int64_t end = cu_seqlens[s + 1];
    pairs += (end - begin) * (end - begin);
    pool.ParallelTasks(tower.heads, [&](int64_t head) {
      largest[head] = std::max(largest[head], LargestLogit(tower, qkv, head, begin, end));
    });
  }
  return *std::max_element(largest.begin(), largest.end());
}

}  // namespace navit
