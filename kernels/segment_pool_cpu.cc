#include <algorithm>

#include "kernels/segment_pool.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/segment_pool_cpu.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "hwy/highway.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace navit::kernels {
namespace HWY_NAMESPACE {

// Segments are not empty: [begin, end) are their tokens.
void ForwardSegment(const SegmentPoolForwardArgs& args, int64_t begin, int64_t end, float* pooled) {
  const D d;
  const V inv_count = hn::Set(d, 1.0f / static_cast<float>(end - begin));
  for (int64_t j = 0; j < args.dim; j += Lanes()) {
    const int64_t n = args.dim - j;
    V value = LoadUpTo(args.x + begin * args.dim + j, n);
    for (int64_t t = begin + 1; t < end; ++t) {
      const V next = LoadUpTo(args.x + t * args.dim + j, n);
      value = args.kind == SegmentPoolKind::kMean ? hn::Add(value, next) : hn::Max(value, next);
    }
    if (args.kind == SegmentPoolKind::kMean) value = hn::Mul(value, inv_count);
    StoreUpTo(value, pooled + j, n);
  }
}

void BackwardSegment(const SegmentPoolBackwardArgs& args, int64_t begin, int64_t end,
                     const float* dpooled) {
  const D d;
  const V inv_count = hn::Set(d, 1.0f / static_cast<float>(end - begin));
  for (int64_t j = 0; j < args.dim; j += Lanes()) {
    const int64_t n = args.dim - j;
    const V gradient = LoadUpTo(dpooled + j, n);
    if (args.kind == SegmentPoolKind::kMean) {
      const V share = hn::Mul(gradient, inv_count);
      for (int64_t t = begin; t < end; ++t) StoreUpTo(share, args.dx + t * args.dim + j, n);
      continue;
    }
    V largest = LoadUpTo(args.x + begin * args.dim + j, n);
    for (int64_t t = begin + 1; t < end; ++t) {
      largest = hn::Max(largest, LoadUpTo(args.x + t * args.dim + j, n));
    }
    // What is left to hand out: the first token that has the maximum takes all of it.
    V left = gradient;
    for (int64_t t = begin; t < end; ++t) {
      const auto takes = hn::Eq(LoadUpTo(args.x + t * args.dim + j, n), largest);
      StoreUpTo(hn::IfThenElseZero(takes, left), args.dx + t * args.dim + j, n);
      left = hn::IfThenZeroElse(takes, left);
    }
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

bool TakesOne(SegmentPoolKind kind) {
  return kind == SegmentPoolKind::kFirst || kind == SegmentPoolKind::kLast;
}

// The token that the pooled vector is.
int64_t Taken(SegmentPoolKind kind, int64_t begin, int64_t end) {
  return kind == SegmentPoolKind::kFirst ? begin : end - 1;
}

}  // namespace

void SegmentPoolForward(const SegmentPoolForwardArgs& args, ThreadPool& pool) {
  pool.ParallelTasks(args.segments, [&](int64_t s) {
    const int64_t begin = args.cu_seqlens[s], end = args.cu_seqlens[s + 1];
    float* pooled = args.pooled + s * args.dim;
    if (begin == end) {
      std::fill(pooled, pooled + args.dim, 0.0f);
    } else if (TakesOne(args.kind)) {
      std::copy_n(args.x + Taken(args.kind, begin, end) * args.dim, args.dim, pooled);
    } else {
      HWY_DYNAMIC_DISPATCH(ForwardSegment)(args, begin, end, pooled);
    }
  });
}

void SegmentPoolBackward(const SegmentPoolBackwardArgs& args, ThreadPool& pool) {
  pool.ParallelTasks(args.segments, [&](int64_t s) {
    const int64_t begin = args.cu_seqlens[s], end = args.cu_seqlens[s + 1];
    if (begin == end) return;
    const float* dpooled = args.dpooled + s * args.dim;
    if (TakesOne(args.kind)) {
      std::fill(args.dx + begin * args.dim, args.dx + end * args.dim, 0.0f);
      std::copy_n(dpooled, args.dim, args.dx + Taken(args.kind, begin, end) * args.dim);
      return;
    }
    HWY_DYNAMIC_DISPATCH(BackwardSegment)(args, begin, end, dpooled);
  });
  const int64_t used = args.segments == 0 ? 0 : args.cu_seqlens[args.segments];
  std::fill(args.dx + used * args.dim, args.dx + args.tokens * args.dim, 0.0f);
}

}  // namespace navit::kernels
#endif  // HWY_ONCE
