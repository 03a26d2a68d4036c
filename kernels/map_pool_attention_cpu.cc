#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/map_pool_attention.h"
#include "kernels/scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/map_pool_attention_cpu.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "hwy/highway.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace navit::kernels {
namespace HWY_NAMESPACE {

// to += factor·from.
HWY_INLINE void Axpy(float factor, const float* from, float* to, int64_t n) {
  const V f = hn::Set(D(), factor);
  for (int64_t j = 0; j < n; j += Lanes()) {
    StoreUpTo(hn::MulAdd(f, LoadUpTo(from + j, n - j), LoadUpTo(to + j, n - j)), to + j, n - j);
  }
}

// to = factor·from.
HWY_INLINE void Scaled(float factor, const float* from, float* to, int64_t n) {
  const V f = hn::Set(D(), factor);
  for (int64_t j = 0; j < n; j += Lanes()) {
    StoreUpTo(hn::Mul(f, LoadUpTo(from + j, n - j)), to + j, n - j);
  }
}

// `scores` has room for end − begin floats.
void ForwardSegment(const MapPoolAttentionForwardArgs& args, int64_t row, int64_t begin,
                    int64_t end, int64_t head, float* scores) {
  const D d;
  const int64_t head_dim = args.head_dim, width = args.heads * head_dim, length = end - begin;
  const float scale = 1 / std::sqrt(static_cast<float>(head_dim));
  const float* query = args.query + head * head_dim;
  const float* k = args.kv + begin * 2 * width + head * head_dim;
  const float* v = k + width;
  float max = -std::numeric_limits<float>::infinity();
  for (int64_t t = 0; t < length; ++t) {
    scores[t] = scale * Dot(query, k + t * 2 * width, head_dim);
    max = HWY_MAX(max, scores[t]);
  }
  for (int64_t t = 0; t < length; t += Lanes()) {
    const V p = Exp(hn::Sub(LoadUpTo(scores + t, length - t), hn::Set(d, max)));
    StoreUpTo(p, scores + t, length - t);
  }
  float sum = 0;
  for (int64_t t = 0; t < length; ++t) sum += scores[t];
  float* pooled = args.pooled + row * width + head * head_dim;
  Scaled(scores[0], v, pooled, head_dim);
  for (int64_t t = 1; t < length; ++t) Axpy(scores[t], v + t * 2 * width, pooled, head_dim);
  Scaled(1 / sum, pooled, pooled, head_dim);
  args.lse[row * args.heads + head] = max + std::log(sum);
}

// `dquery` [head_dim] is assigned.
void BackwardSegment(const MapPoolAttentionBackwardArgs& args, int64_t row, int64_t begin,
                     int64_t end, int64_t head, float* dquery) {
  const D d;
  const int64_t head_dim = args.head_dim, width = args.heads * head_dim;
  const float scale = 1 / std::sqrt(static_cast<float>(head_dim));
  const float* query = args.query + head * head_dim;
  const float* dpooled = args.dpooled + row * width + head * head_dim;
  const float delta = Dot(args.pooled + row * width + head * head_dim, dpooled, head_dim);
  const float lse = args.lse[row * args.heads + head];
  for (int64_t j = 0; j < head_dim; ++j) dquery[j] = 0;
  for (int64_t t = begin; t < end; ++t) {
    const float* k = args.kv + t * 2 * width + head * head_dim;
    const float* v = k + width;
    float* dk = args.dkv + t * 2 * width + head * head_dim;
    const float p = hn::GetLane(Exp(hn::Set(d, scale * Dot(query, k, head_dim) - lse)));
    const float dz = p * (Dot(dpooled, v, head_dim) - delta) * scale;
    Scaled(dz, query, dk, head_dim);
    Scaled(p, dpooled, dk + width, head_dim);
    Axpy(dz, k, dquery, head_dim);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace navit::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace navit::kernels {
namespace {

HWY_EXPORT(ForwardSegment);
HWY_EXPORT(BackwardSegment);

// Segments that are not empty, in order: the rows of `pooled`.
std::vector<int64_t> RowSegments(const int32_t* cu_seqlens, int64_t segments) {
  std::vector<int64_t> rows;
  for (int64_t s = 0; s < segments; ++s) {
    if (cu_seqlens[s + 1] > cu_seqlens[s]) rows.push_back(s);
  }
  return rows;
}

}  // namespace

int64_t PooledRows(const int32_t* cu_seqlens, int64_t segments) {
  int64_t rows = 0;
  for (int64_t s = 0; s < segments; ++s) rows += cu_seqlens[s + 1] > cu_seqlens[s];
  return rows;
}

void MapPoolAttentionForward(const MapPoolAttentionForwardArgs& args, ThreadPool& pool) {
  const std::vector<int64_t> rows = RowSegments(args.cu_seqlens, args.segments);
  pool.ParallelTasks(static_cast<int64_t>(rows.size()) * args.heads, [&](int64_t task) {
    const int64_t row = task / args.heads;
    const int64_t begin = args.cu_seqlens[rows[row]], end = args.cu_seqlens[rows[row] + 1];
    float* scores = Scratch(ScratchUse::kAttention, end - begin);
    HWY_DYNAMIC_DISPATCH(ForwardSegment)(args, row, begin, end, task % args.heads, scores);
  });
}

void MapPoolAttentionBackward(const MapPoolAttentionBackwardArgs& args, ThreadPool& pool) {
  const std::vector<int64_t> rows = RowSegments(args.cu_seqlens, args.segments);
  const int64_t width = args.heads * args.head_dim, count = static_cast<int64_t>(rows.size());
  float* parts = Scratch(ScratchUse::kReduction, count * width);  // [count, heads, head_dim]
  pool.ParallelTasks(count * args.heads, [&](int64_t task) {
    const int64_t row = task / args.heads;
    const int64_t begin = args.cu_seqlens[rows[row]], end = args.cu_seqlens[rows[row] + 1];
    HWY_DYNAMIC_DISPATCH(BackwardSegment)
    (args, row, begin, end, task % args.heads, parts + task * args.head_dim);
  });
  for (int64_t row = 0; row < count; ++row) {
    for (int64_t j = 0; j < width; ++j) args.dquery[j] += parts[row * width + j];
  }
  const int64_t used = args.cu_seqlens[args.segments];
  std::fill(args.dkv + used * 2 * width, args.dkv + args.tokens * 2 * width, 0.0f);
}

}  // namespace navit::kernels
#endif  // HWY_ONCE
