#include <algorithm>

#include "kernels/segment_pool.h"

namespace navit::kernels::ref {
namespace {

// Which of tokens [begin, end) gives element d: for the maximum the first that has it.
int64_t Chosen(SegmentPoolKind kind, const float* x, int64_t begin, int64_t end, int64_t dim,
               int64_t d) {
  if (kind == SegmentPoolKind::kFirst) return begin;
  if (kind == SegmentPoolKind::kLast) return end - 1;
  int64_t best = begin;
  for (int64_t t = begin + 1; t < end; ++t) {
    if (x[t * dim + d] > x[best * dim + d]) best = t;
  }
  return best;
}

}  // namespace

void SegmentPoolForward(const SegmentPoolForwardArgs& args) {
  const int64_t dim = args.dim;
  std::fill(args.pooled, args.pooled + args.segments * dim, 0.0f);
  for (int64_t s = 0; s < args.segments; ++s) {
    const int64_t begin = args.cu_seqlens[s], end = args.cu_seqlens[s + 1];
    if (begin == end) continue;
    for (int64_t d = 0; d < dim; ++d) {
      if (args.kind != SegmentPoolKind::kMean) {
        args.pooled[s * dim + d] = args.x[Chosen(args.kind, args.x, begin, end, dim, d) * dim + d];
        continue;
      }
      double sum = 0;
      for (int64_t t = begin; t < end; ++t) sum += args.x[t * dim + d];
      args.pooled[s * dim + d] = static_cast<float>(sum / (end - begin));
    }
  }
}

void SegmentPoolBackward(const SegmentPoolBackwardArgs& args) {
  const int64_t dim = args.dim;
  std::fill(args.dx, args.dx + args.tokens * dim, 0.0f);
  for (int64_t s = 0; s < args.segments; ++s) {
    const int64_t begin = args.cu_seqlens[s], end = args.cu_seqlens[s + 1];
    if (begin == end) continue;
    for (int64_t d = 0; d < dim; ++d) {
      const float dpooled = args.dpooled[s * dim + d];
      if (args.kind != SegmentPoolKind::kMean) {
        args.dx[Chosen(args.kind, args.x, begin, end, dim, d) * dim + d] = dpooled;
        continue;
      }
      for (int64_t t = begin; t < end; ++t) {
        args.dx[t * dim + d] = static_cast<float>(static_cast<double>(dpooled) / (end - begin));
      }
    }
  }
}

}  // namespace navit::kernels::ref
