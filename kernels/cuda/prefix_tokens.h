// prefix_tokens.h (kernels/) on a GPU: copies between packed tokens without learned tokens in front
// of each segment, x, and with them, y.
#ifndef NAVIT_KERNELS_CUDA_PREFIX_TOKENS_H_
#define NAVIT_KERNELS_CUDA_PREFIX_TOKENS_H_

#include <cstdint>

#include "kernels/cuda/bf16.h"
#include "kernels/cuda/launch.h"

namespace navit::kernels::cuda {

// y [y_tokens, dim] bf16, assigned: segment s is the `prefix` rows, then segment s of x; rows of
// padding, from used_tokens + segments·prefix_tokens on, become 0. used_tokens = cu_seqlens.back().
// cu_seqlens [segments + 1] of x in device memory; x bf16; prefix [prefix_tokens, dim] fp32, null:
// zeros. prefix_tokens >= 1. Device memory, 16-byte aligned. The copies are exact.
struct InsertPrefixArgs {
  int64_t y_tokens = 0, used_tokens = 0, segments = 0, prefix_tokens = 0, dim = 0;
  const int32_t* cu_seqlens = nullptr;
  const Bf16* x = nullptr;
  const float* prefix = nullptr;
  Bf16* y = nullptr;
};

// The other way, and the gradient of InsertPrefix: x [x_tokens, dim] assigned, 0 from used_tokens
// on; dprefix fp32 added to, null: none, by slabs of kPrefixSlab segments in order, then the slabs
// in order. Tolerance: 1e-5 of the sum of absolute terms.
struct RemovePrefixArgs {
  int64_t x_tokens = 0, used_tokens = 0, segments = 0, prefix_tokens = 0, dim = 0;
  const int32_t* cu_seqlens = nullptr;
  const Bf16* y = nullptr;
  Bf16* x = nullptr;
  float* dprefix = nullptr;
  float* partial = nullptr;  // working memory, [PrefixSlabs(segments), prefix_tokens, dim]
};

inline constexpr int64_t kPrefixSlab = 32;
inline constexpr int64_t PrefixSlabs(int64_t segments) {
  return (segments + kPrefixSlab - 1) / kPrefixSlab;
}

LaunchError InsertPrefix(const InsertPrefixArgs& args, Stream stream);
LaunchError RemovePrefix(const RemovePrefixArgs& args, Stream stream);

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_PREFIX_TOKENS_H_
