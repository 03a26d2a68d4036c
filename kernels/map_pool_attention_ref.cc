#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/map_pool_attention.h"

namespace navit::kernels::ref {
namespace {

double Dot(const float* a, const float* b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

}  // namespace

void MapPoolAttentionForward(const MapPoolAttentionForwardArgs& args) {
  const int64_t head_dim = args.head_dim, width = args.heads * head_dim;
  const double scale = 1 / std::sqrt(static_cast<double>(head_dim));
  int64_t row = 0;
  for (int64_t s = 0; s < args.segments; ++s) {
    const int64_t begin = args.cu_seqlens[s], end = args.cu_seqlens[s + 1];
    if (begin == end) continue;
    for (int64_t h = 0; h < args.heads; ++h) {
      const float* k = args.kv + h * head_dim;
      const float* v = k + width;
      std::vector<double> score(end - begin);
      double max = -std::numeric_limits<double>::infinity();
      for (int64_t t = begin; t < end; ++t) {
        score[t - begin] = scale * Dot(args.query + h * head_dim, k + t * 2 * width, head_dim);
        max = std::max(max, score[t - begin]);
      }
      double sum = 0;
      for (double& z : score) sum += z = std::exp(z - max);
      args.lse[row * args.heads + h] = static_cast<float>(max + std::log(sum));
      for (int64_t d = 0; d < head_dim; ++d) {
        double pooled = 0;
        for (int64_t t = begin; t < end; ++t) pooled += score[t - begin] * v[t * 2 * width + d];
        args.pooled[row * width + h * head_dim + d] = static_cast<float>(pooled / sum);
      }
    }
    ++row;
  }
}

void MapPoolAttentionBackward(const MapPoolAttentionBackwardArgs& args) {
  const int64_t head_dim = args.head_dim, width = args.heads * head_dim;
  const double scale = 1 / std::sqrt(static_cast<double>(head_dim));
  std::vector<double> dquery(width, 0);
  int64_t row = 0;
  for (int64_t s = 0; s < args.segments; ++s) {
    const int64_t begin = args.cu_seqlens[s], end = args.cu_seqlens[s + 1];
    if (begin == end) continue;
    for (int64_t h = 0; h < args.heads; ++h) {
      const float* query = args.query + h * head_dim;
      const float* dpooled = args.dpooled + row * width + h * head_dim;
      const double delta = Dot(args.pooled + row * width + h * head_dim, dpooled, head_dim);
      for (int64_t t = begin; t < end; ++t) {
        const float* k = args.kv + t * 2 * width + h * head_dim;
        const float* v = k + width;
        float* dk = args.dkv + t * 2 * width + h * head_dim;
        float* dv = dk + width;
        const double p = std::exp(scale * Dot(query, k, head_dim) - args.lse[row * args.heads + h]);
        const double dz = p * (Dot(dpooled, v, head_dim) - delta) * scale;
        for (int64_t d = 0; d < head_dim; ++d) {
          dk[d] = static_cast<float>(dz * query[d]);
          dv[d] = static_cast<float>(p * dpooled[d]);
          dquery[h * head_dim + d] += dz * k[d];
        }
      }
    }
    ++row;
  }
  for (int64_t i = 0; i < width; ++i) args.dquery[i] += static_cast<float>(dquery[i]);
  const int64_t used = args.cu_seqlens[args.segments];
  std::fill(args.dkv + used * 2 * width, args.dkv + args.tokens * 2 * width, 0.0f);
}

}  // namespace navit::kernels::ref
