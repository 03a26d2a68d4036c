#include "worker/model/cpu_ops.h"

namespace navit {

std::vector<int32_t> WithPrefix(absl::Span<const int32_t> cu_seqlens, int64_t prefix_tokens) {
  std::vector<int32_t> longer(cu_seqlens.begin(), cu_seqlens.end());
  for (size_t s = 0; s < longer.size(); ++s) longer[s] += static_cast<int32_t>(s * prefix_tokens);
  return longer;
}

void CpuOps::QkNormRopeForward(const QkNormRopeForwardArgs& args, Context& pool) {
  if (args.q_gain != nullptr) {
    kernels::QkNormForward({.tokens = args.tokens,
                            .heads = args.heads,
                            .head_dim = args.head_dim,
                            .qkv = args.qkv,
                            .q_gain = args.q_gain,
                            .k_gain = args.k_gain,
                            .normed = args.normed,
                            .inv_rms = args.inv_rms},
                           pool);
  }
  if (args.cos_sin != nullptr) {
    kernels::Rope({.tokens = args.tokens,
                   .heads = args.heads,
                   .head_dim = args.head_dim,
                   .cos_sin = args.cos_sin,
                   .qkv = args.normed},
                  pool);
  }
}

void CpuOps::QkNormRopeBackward(const QkNormRopeBackwardArgs& args, Context& pool) {
  if (args.cos_sin != nullptr) {
    kernels::Rope({.tokens = args.tokens,
                   .heads = args.heads,
                   .head_dim = args.head_dim,
                   .cos_sin = args.cos_sin,
                   .qkv = args.dqkv,
                   .inverse = true},
                  pool);
  }
  if (args.q_gain != nullptr) {
    kernels::QkNormBackward({.tokens = args.tokens,
                             .heads = args.heads,
                             .head_dim = args.head_dim,
                             .qkv = args.qkv,
                             .q_gain = args.q_gain,
                             .k_gain = args.k_gain,
                             .inv_rms = args.inv_rms,
                             .dqkv = args.dqkv,
                             .dq_gain = args.dq_gain,
                             .dk_gain = args.dk_gain},
                            pool);
  }
}

}  // namespace navit
