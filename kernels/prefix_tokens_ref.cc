#include <vector>

#include "kernels/prefix_tokens.h"

namespace navit::kernels::ref {

void InsertPrefix(const InsertPrefixArgs& args) {
  float* y = args.y;
  for (int64_t s = 0; s < args.segments; ++s) {
    for (int64_t i = 0; i < args.prefix_tokens * args.dim; ++i) {
      *y++ = args.prefix == nullptr ? 0.0f : args.prefix[i];
    }
    for (int64_t i = args.cu_seqlens[s] * args.dim; i < args.cu_seqlens[s + 1] * args.dim; ++i) {
      *y++ = args.x[i];
    }
  }
}

void RemovePrefix(const RemovePrefixArgs& args) {
  const float* y = args.y;
  std::vector<double> sums(args.prefix_tokens * args.dim, 0);
  for (int64_t s = 0; s < args.segments; ++s) {
    for (double& sum : sums) sum += *y++;
    for (int64_t i = args.cu_seqlens[s] * args.dim; i < args.cu_seqlens[s + 1] * args.dim; ++i) {
      args.x[i] = *y++;
    }
  }
  if (args.dprefix == nullptr) return;
  for (size_t i = 0; i < sums.size(); ++i) args.dprefix[i] += static_cast<float>(sums[i]);
}

}  // namespace navit::kernels::ref
