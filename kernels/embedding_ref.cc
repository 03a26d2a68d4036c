#include "kernels/embedding.h"

namespace navit::kernels::ref {

void EmbeddingForward(const EmbeddingForwardArgs& args) {
  for (int64_t s = 0; s < args.segments; ++s) {
    for (int64_t t = args.cu_seqlens[s]; t < args.cu_seqlens[s + 1]; ++t) {
      const float* token = args.token_table + args.ids[t] * args.dim;
      const float* position = args.position_table + (t - args.cu_seqlens[s]) * args.dim;
      for (int64_t d = 0; d < args.dim; ++d) args.y[t * args.dim + d] = token[d] + position[d];
    }
  }
  const int64_t end = args.cu_seqlens[args.segments];
  for (int64_t at = end * args.dim; at < args.tokens * args.dim; ++at) args.y[at] = 0;
}

void EmbeddingBackward(const EmbeddingBackwardArgs& args) {
  for (int64_t s = 0; s < args.segments; ++s) {
    for (int64_t t = args.cu_seqlens[s]; t < args.cu_seqlens[s + 1]; ++t) {
      float* dtoken = args.dtoken_table + args.ids[t] * args.dim;
      float* dposition = args.dposition_table + (t - args.cu_seqlens[s]) * args.dim;
      const float* dy = args.dy + t * args.dim;
      for (int64_t d = 0; d < args.dim; ++d) {
        dtoken[d] += dy[d];
        dposition[d] += dy[d];
      }
    }
  }
}

}  // namespace navit::kernels::ref
