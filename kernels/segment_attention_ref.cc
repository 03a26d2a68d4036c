#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/segment_attention.h"

namespace navit::kernels::ref {
namespace {

double Dot(const float* a, const float* b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

}  // namespace

void SegmentAttentionForward(const SegmentAttentionForwardArgs& args) {
  const int64_t head_dim = args.head_dim, width = args.heads * head_dim;
  const double scale = 1 / std::sqrt(static_cast<double>(head_dim));
  for (int64_t s = 0; s < args.segments; ++s) {
    const int64_t begin = args.cu_seqlens[s], end = args.cu_seqlens[s + 1];
    for (int64_t h = 0; h < args.heads; ++h) {
      const float* q = args.qkv + h * head_dim;
      const float* k = q + width;
      const float* v = k + width;
      for (int64_t i = begin; i < end; ++i) {
        const int64_t keys = args.causal ? i + 1 : end;
        std::vector<double> score(keys - begin);
        double max = -std::numeric_limits<double>::infinity();
        for (int64_t j = begin; j < keys; ++j) {
          score[j - begin] = scale * Dot(q + i * 3 * width, k + j * 3 * width, head_dim);
          max = std::max(max, score[j - begin]);
        }
        double sum = 0;
        for (double& z : score) sum += z = std::exp(z - max);
        args.lse[i * args.heads + h] = static_cast<float>(max + std::log(sum));
        for (int64_t d = 0; d < head_dim; ++d) {
          double out = 0;
          for (int64_t j = begin; j < keys; ++j) out += score[j - begin] * v[j * 3 * width + d];
          args.out[i * width + h * head_dim + d] = static_cast<float>(out / sum);
        }
      }
    }
  }
  const int64_t used = args.cu_seqlens[args.segments];
  std::fill(args.out + used * width, args.out + args.tokens * width, 0.0f);
  std::fill(args.lse + used * args.heads, args.lse + args.tokens * args.heads, 0.0f);
}

// With P = exp(z − lse), dP = dout·v and δ = out·dout: dv = Pᵀ·dout, dz = P·(dP − δ),
// dq = scale·dz·k, dk = scale·dzᵀ·q.
void SegmentAttentionBackward(const SegmentAttentionBackwardArgs& args) {
  const int64_t head_dim = args.head_dim, width = args.heads * head_dim;
  const double scale = 1 / std::sqrt(static_cast<double>(head_dim));
  std::vector<double> dqkv(args.tokens * 3 * width, 0);
  for (int64_t s = 0; s < args.segments; ++s) {
    const int64_t begin = args.cu_seqlens[s], end = args.cu_seqlens[s + 1];
    for (int64_t h = 0; h < args.heads; ++h) {
      for (int64_t i = begin; i < end; ++i) {
        const float* q = args.qkv + i * 3 * width + h * head_dim;
        const float* dout = args.dout + i * width + h * head_dim;
        const double delta = Dot(args.out + i * width + h * head_dim, dout, head_dim);
        double* dq = dqkv.data() + i * 3 * width + h * head_dim;
        for (int64_t j = begin; j < (args.causal ? i + 1 : end); ++j) {
          const float* k = args.qkv + (j * 3 + 1) * width + h * head_dim;
          const float* v = k + width;
          double* dk = dqkv.data() + (j * 3 + 1) * width + h * head_dim;
          double* dv = dk + width;
          const double p = std::exp(scale * Dot(q, k, head_dim) - args.lse[i * args.heads + h]);
          const double dz = p * (Dot(dout, v, head_dim) - delta) * scale;
          for (int64_t d = 0; d < head_dim; ++d) {
            dq[d] += dz * k[d];
            dk[d] += dz * q[d];
            dv[d] += p * dout[d];
          }
        }
      }
    }
  }
  std::copy(dqkv.begin(), dqkv.end(), args.dqkv);
}

}  // namespace navit::kernels::ref
