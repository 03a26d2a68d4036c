#include <algorithm>

#include "kernels/prefix_tokens.h"

namespace navit::kernels {
namespace {

// First token of segment s in y.
int64_t First(const int32_t* cu_seqlens, int64_t prefix_tokens, int64_t s) {
  return cu_seqlens[s] + s * prefix_tokens;
}

}  // namespace

void InsertPrefix(const InsertPrefixArgs& args, ThreadPool& pool) {
  const int64_t dim = args.dim, prefix = args.prefix_tokens * dim;
  pool.ParallelTasks(args.segments, [&](int64_t s) {
    float* y = args.y + First(args.cu_seqlens, args.prefix_tokens, s) * dim;
    if (args.prefix == nullptr) {
      std::fill_n(y, prefix, 0.0f);
    } else {
      std::copy_n(args.prefix, prefix, y);
    }
    std::copy(args.x + args.cu_seqlens[s] * dim, args.x + args.cu_seqlens[s + 1] * dim, y + prefix);
  });
}

void RemovePrefix(const RemovePrefixArgs& args, ThreadPool& pool) {
  const int64_t dim = args.dim, prefix = args.prefix_tokens * dim;
  pool.ParallelTasks(args.segments, [&](int64_t s) {
    const float* y = args.y + First(args.cu_seqlens, args.prefix_tokens, s) * dim + prefix;
    const int64_t tokens = args.cu_seqlens[s + 1] - args.cu_seqlens[s];
    std::copy_n(y, tokens * dim, args.x + args.cu_seqlens[s] * dim);
  });
  if (args.dprefix == nullptr) return;
  pool.ParallelFor(prefix, 16, [&](int64_t begin, int64_t end) {
    for (int64_t s = 0; s < args.segments; ++s) {
      const float* y = args.y + First(args.cu_seqlens, args.prefix_tokens, s) * dim;
      for (int64_t i = begin; i < end; ++i) args.dprefix[i] += y[i];
    }
  });
}

}  // namespace navit::kernels
