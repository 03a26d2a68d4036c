#include "worker/model/block.h"

#include <cstring>

#include "kernels/bias_gelu.h"
#include "kernels/linear.h"
#include "kernels/qk_norm.h"
#include "kernels/rms_norm.h"
#include "kernels/rope.h"
#include "kernels/segment_attention.h"

namespace navit {
namespace {

// Offset of a parameter that the tower may lack.
size_t OffsetIf(bool present, const ParameterTable& table, const std::string& name) {
  return present ? table.Find(name).offset : 0;
}

}  // namespace

Block::Block(const ParameterTable& table, const std::string& prefix, const TowerConfig& size)
    : size_(size),
      norm1_(table.Find(prefix + ".norm1.gain").offset),
      qkv_(table.Find(prefix + ".attn.qkv.weight").offset),
      qkv_bias_(OffsetIf(size.attention_bias, table, prefix + ".attn.qkv.bias")),
      q_norm_(OffsetIf(size.qk_norm, table, prefix + ".attn.q_norm.gain")),
      k_norm_(OffsetIf(size.qk_norm, table, prefix + ".attn.k_norm.gain")),
      proj_(table.Find(prefix + ".attn.proj.weight").offset),
      proj_bias_(OffsetIf(size.attention_bias, table, prefix + ".attn.proj.bias")),
      norm2_(table.Find(prefix + ".norm2.gain").offset),
      fc1_(table.Find(prefix + ".mlp.fc1.weight").offset),
      fc1_bias_(table.Find(prefix + ".mlp.fc1.bias").offset),
      fc2_(table.Find(prefix + ".mlp.fc2.weight").offset),
      fc2_bias_(table.Find(prefix + ".mlp.fc2.bias").offset),
      end_(norm1_ + AlignedFloats(size.width)) {}

BlockActivations Block::LayOut(int64_t tokens, Arena* arena) const {
  const int64_t floats = tokens * size_.width;
  BlockActivations a;
  a.x = arena->Take(floats);
  a.norm1 = arena->Take(floats);
  a.norm1_inv_rms = arena->Take(tokens);
  a.qkv = arena->Take(3 * floats);
  a.qkv_normed = size_.qk_norm ? arena->Take(3 * floats) : a.qkv;
  if (size_.qk_norm) a.qk_inv_rms = arena->Take(2 * tokens * size_.heads);
  a.attention = arena->Take(floats);
  a.lse = arena->Take(tokens * size_.heads);
  a.middle = arena->Take(floats);
  a.norm2 = arena->Take(floats);
  a.norm2_inv_rms = arena->Take(tokens);
  a.hidden = arena->Take(tokens * size_.mlp_dim);
  a.active = arena->Take(tokens * size_.mlp_dim);
  return a;
}

BlockScratch Block::LayOutScratch(int64_t tokens, Arena* arena) const {
  BlockScratch scratch;
  scratch.dtokens = arena->Take(tokens * size_.width);
  scratch.dqkv = arena->Take(3 * tokens * size_.width);
  scratch.dhidden = arena->Take(tokens * size_.mlp_dim);
  return scratch;
}

void Block::Forward(const float* parameters, absl::Span<const int32_t> cu_seqlens,
                    const BlockActivations& a, float* out, kernels::ThreadPool& pool) const {
  const int64_t tokens = cu_seqlens.back();
  const int64_t width = size_.width;
  const size_t stream_bytes = tokens * width * sizeof(float);
  kernels::RmsNormForward({.rows = tokens,
                           .dim = width,
                           .eps = size_.eps,
                           .x = a.x,
                           .gain = parameters + norm1_,
                           .y = a.norm1,
                           .inv_rms = a.norm1_inv_rms},
                          pool);
  kernels::LinearForward({.rows = tokens,
                          .in = width,
                          .out = 3 * width,
                          .x = a.norm1,
                          .weight = parameters + qkv_,
                          .bias = size_.attention_bias ? parameters + qkv_bias_ : nullptr,
                          .y = a.qkv},
                         pool);
  if (size_.qk_norm) {
    kernels::QkNormForward({.tokens = tokens,
                            .heads = size_.heads,
                            .head_dim = size_.head_dim(),
                            .qkv = a.qkv,
                            .q_gain = parameters + q_norm_,
                            .k_gain = parameters + k_norm_,
                            .normed = a.qkv_normed,
                            .inv_rms = a.qk_inv_rms},
                           pool);
  }
  if (a.rope != nullptr) {
    kernels::Rope({.tokens = tokens,
                   .heads = size_.heads,
                   .head_dim = size_.head_dim(),
                   .cos_sin = a.rope,
                   .qkv = a.qkv_normed},
                  pool);
  }
  kernels::SegmentAttentionForward({.tokens = tokens,
                                    .segments = static_cast<int64_t>(cu_seqlens.size()) - 1,
                                    .heads = size_.heads,
                                    .head_dim = size_.head_dim(),
                                    .causal = size_.causal,
                                    .cu_seqlens = cu_seqlens.data(),
                                    .qkv = a.qkv_normed,
                                    .out = a.attention,
                                    .lse = a.lse},
                                   pool);
  std::memcpy(a.middle, a.x, stream_bytes);
  kernels::LinearForward({.rows = tokens,
                          .in = width,
                          .out = width,
                          .x = a.attention,
                          .weight = parameters + proj_,
                          .bias = size_.attention_bias ? parameters + proj_bias_ : nullptr,
                          .y = a.middle,
                          .accumulate = true},
                         pool);
  kernels::RmsNormForward({.rows = tokens,
                           .dim = width,
                           .eps = size_.eps,
                           .x = a.middle,
                           .gain = parameters + norm2_,
                           .y = a.norm2,
                           .inv_rms = a.norm2_inv_rms},
                          pool);
  kernels::LinearForward({.rows = tokens,
                          .in = width,
                          .out = size_.mlp_dim,
                          .x = a.norm2,
                          .weight = parameters + fc1_,
                          .y = a.hidden},
                         pool);
  kernels::BiasGeluForward({.rows = tokens,
                            .dim = size_.mlp_dim,
                            .x = a.hidden,
                            .bias = parameters + fc1_bias_,
                            .y = a.active,
                            .erf = size_.gelu_erf},
                           pool);
  std::memcpy(out, a.middle, stream_bytes);
  kernels::LinearForward({.rows = tokens,
                          .in = size_.mlp_dim,
                          .out = width,
                          .x = a.active,
                          .weight = parameters + fc2_,
                          .bias = parameters + fc2_bias_,
                          .y = out,
                          .accumulate = true},
                         pool);
}

void Block::Backward(const float* parameters, float* gradients,
                     absl::Span<const int32_t> cu_seqlens, const BlockActivations& a,
                     const BlockScratch& scratch, float* dx, kernels::ThreadPool& pool) const {
  const int64_t tokens = cu_seqlens.back();
  const int64_t width = size_.width;
  const int64_t mlp_dim = size_.mlp_dim;

  // MLP branch. dx passes unchanged along the residual, and the norm adds the branch's part.
  kernels::LinearBackwardWeight({.rows = tokens,
                                 .in = mlp_dim,
                                 .out = width,
                                 .x = a.active,
                                 .dy = dx,
                                 .dweight = gradients + fc2_,
                                 .dbias = gradients + fc2_bias_},
                                pool);
  kernels::LinearBackwardInput({.rows = tokens,
                                .in = mlp_dim,
                                .out = width,
                                .dy = dx,
                                .weight = parameters + fc2_,
                                .dx = scratch.dhidden},
                               pool);
  kernels::BiasGeluBackward({.rows = tokens,
                             .dim = mlp_dim,
                             .x = a.hidden,
                             .bias = parameters + fc1_bias_,
                             .dy = scratch.dhidden,
                             .dx = scratch.dhidden,
                             .dbias = gradients + fc1_bias_,
                             .erf = size_.gelu_erf},
                            pool);
  kernels::LinearBackwardWeight({.rows = tokens,
                                 .in = width,
                                 .out = mlp_dim,
                                 .x = a.norm2,
                                 .dy = scratch.dhidden,
                                 .dweight = gradients + fc1_},
                                pool);
  kernels::LinearBackwardInput({.rows = tokens,
                                .in = width,
                                .out = mlp_dim,
                                .dy = scratch.dhidden,
                                .weight = parameters + fc1_,
                                .dx = scratch.dtokens},
                               pool);
  kernels::RmsNormBackward({.rows = tokens,
                            .dim = width,
                            .x = a.middle,
                            .gain = parameters + norm2_,
                            .inv_rms = a.norm2_inv_rms,
                            .dy = scratch.dtokens,
                            .dx = dx,
                            .dgain = gradients + norm2_,
                            .accumulate = true},
                           pool);

  // Attention branch.
  kernels::LinearBackwardWeight({.rows = tokens,
                                 .in = width,
                                 .out = width,
                                 .x = a.attention,
                                 .dy = dx,
                                 .dweight = gradients + proj_,
                                 .dbias = size_.attention_bias ? gradients + proj_bias_ : nullptr},
                                pool);
  kernels::LinearBackwardInput({.rows = tokens,
                                .in = width,
                                .out = width,
                                .dy = dx,
                                .weight = parameters + proj_,
                                .dx = scratch.dtokens},
                               pool);
  kernels::SegmentAttentionBackward({.tokens = tokens,
                                     .segments = static_cast<int64_t>(cu_seqlens.size()) - 1,
                                     .heads = size_.heads,
                                     .head_dim = size_.head_dim(),
                                     .causal = size_.causal,
                                     .cu_seqlens = cu_seqlens.data(),
                                     .qkv = a.qkv_normed,
                                     .out = a.attention,
                                     .lse = a.lse,
                                     .dout = scratch.dtokens,
                                     .dqkv = scratch.dqkv},
                                    pool);
  if (a.rope != nullptr) {
    kernels::Rope({.tokens = tokens,
                   .heads = size_.heads,
                   .head_dim = size_.head_dim(),
                   .cos_sin = a.rope,
                   .qkv = scratch.dqkv,
                   .inverse = true},
                  pool);
  }
  if (size_.qk_norm) {
    kernels::QkNormBackward({.tokens = tokens,
                             .heads = size_.heads,
                             .head_dim = size_.head_dim(),
                             .qkv = a.qkv,
                             .q_gain = parameters + q_norm_,
                             .k_gain = parameters + k_norm_,
                             .inv_rms = a.qk_inv_rms,
                             .dqkv = scratch.dqkv,
                             .dq_gain = gradients + q_norm_,
                             .dk_gain = gradients + k_norm_},
                            pool);
  }
  kernels::LinearBackwardWeight({.rows = tokens,
                                 .in = width,
                                 .out = 3 * width,
                                 .x = a.norm1,
                                 .dy = scratch.dqkv,
                                 .dweight = gradients + qkv_,
                                 .dbias = size_.attention_bias ? gradients + qkv_bias_ : nullptr},
                                pool);
  kernels::LinearBackwardInput({.rows = tokens,
                                .in = width,
                                .out = 3 * width,
                                .dy = scratch.dqkv,
                                .weight = parameters + qkv_,
                                .dx = scratch.dtokens},
                               pool);
  kernels::RmsNormBackward({.rows = tokens,
                            .dim = width,
                            .x = a.x,
                            .gain = parameters + norm1_,
                            .inv_rms = a.norm1_inv_rms,
                            .dy = scratch.dtokens,
                            .dx = dx,
                            .dgain = gradients + norm1_,
                            .accumulate = true},
                           pool);
}

}  // namespace navit
