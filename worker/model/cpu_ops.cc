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

void CpuOps::LinearGeluForward(const LinearGeluForwardArgs& args, Context& pool) {
  kernels::LinearForward({.rows = args.rows,
                          .in = args.in,
                          .out = args.out,
                          .x = args.x,
                          .weight = args.weight,
                          .y = args.hidden},
                         pool);
  kernels::BiasGeluForward({.rows = args.rows,
                            .dim = args.out,
                            .x = args.hidden,
                            .bias = args.bias,
                            .y = args.y,
                            .erf = args.erf},
                           pool);
}

void CpuOps::LinearGeluBackward(const LinearGeluBackwardArgs& args, Context& pool) {
  kernels::LinearBackwardInput({.rows = args.rows,
                                .in = args.in,
                                .out = args.out,
                                .dy = args.dy,
                                .weight = args.weight,
                                .dx = args.dhidden},
                               pool);
  kernels::BiasGeluBackward({.rows = args.rows,
                             .dim = args.in,
                             .x = args.hidden,
                             .bias = args.bias,
                             .dy = args.dhidden,
                             .dx = args.dhidden,
                             .dbias = args.dbias,
                             .erf = args.erf},
                            pool);
}

}  // namespace navit
