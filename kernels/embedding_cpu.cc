#include <algorithm>

#include "kernels/embedding.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/embedding_cpu.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "hwy/highway.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace navit::kernels {
namespace HWY_NAMESPACE {

// Segments [begin, end).
void ForwardRange(const EmbeddingForwardArgs& args, int64_t begin, int64_t end) {
  const int64_t lanes = Lanes();
  for (int64_t s = begin; s < end; ++s) {
    for (int64_t t = args.cu_seqlens[s]; t < args.cu_seqlens[s + 1]; ++t) {
      const float* token = args.token_table + args.ids[t] * args.dim;
      const float* position = args.position_table + (t - args.cu_seqlens[s]) * args.dim;
      float* y = args.y + t * args.dim;
      for (int64_t j = 0; j < args.dim; j += lanes) {
        const int64_t width = args.dim - j;
        StoreUpTo(hn::Add(LoadUpTo(token + j, width), LoadUpTo(position + j, width)), y + j, width);
      }
    }
  }
}

// Columns [begin, end) of the tables, over all tokens in order.
void BackwardRange(const EmbeddingBackwardArgs& args, int64_t begin, int64_t end) {
  const int64_t lanes = Lanes();
  for (int64_t s = 0; s < args.segments; ++s) {
    for (int64_t t = args.cu_seqlens[s]; t < args.cu_seqlens[s + 1]; ++t) {
      float* dtoken = args.dtoken_table + args.ids[t] * args.dim;
      float* dposition = args.dposition_table + (t - args.cu_seqlens[s]) * args.dim;
      const float* dy = args.dy + t * args.dim;
      for (int64_t j = begin; j < end; j += lanes) {
        const int64_t width = end - j;
        const V value = LoadUpTo(dy + j, width);
        StoreUpTo(hn::Add(LoadUpTo(dtoken + j, width), value), dtoken + j, width);
        StoreUpTo(hn::Add(LoadUpTo(dposition + j, width), value), dposition + j, width);
      }
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace navit::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace navit::kernels {

namespace {
HWY_EXPORT(ForwardRange);
HWY_EXPORT(BackwardRange);
}  // namespace

void EmbeddingForward(const EmbeddingForwardArgs& args, ThreadPool& pool) {
  pool.ParallelFor(args.segments, 1, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(ForwardRange)(args, begin, end);
  });
  const int64_t used = args.cu_seqlens[args.segments];
  std::fill(args.y + used * args.dim, args.y + args.tokens * args.dim, 0.0f);
}

void EmbeddingBackward(const EmbeddingBackwardArgs& args, ThreadPool& pool) {
  pool.ParallelFor(args.dim, 32, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(BackwardRange)(args, begin, end);
  });
}

}  // namespace navit::kernels
#endif  // HWY_ONCE
