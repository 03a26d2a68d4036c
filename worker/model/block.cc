#include "worker/model/block.h"

#include <cstring>

#include "kernels/layer_scale.h"
#include "kernels/linear.h"
#include "kernels/qk_norm.h"
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
      norm1_(table, prefix + ".norm1", size),
      norm2_(table, prefix + ".norm2", size),
      mlp_(table, prefix + ".mlp", size),
      qkv_(table.Find(prefix + ".attn.qkv.weight").offset),
      qkv_bias_(OffsetIf(size.attention_bias, table, prefix + ".attn.qkv.bias")),
      q_norm_(OffsetIf(size.qk_norm, table, prefix + ".attn.q_norm.gain")),
      k_norm_(OffsetIf(size.qk_norm, table, prefix + ".attn.k_norm.gain")),
      proj_(table.Find(prefix + ".attn.proj.weight").offset),
      proj_bias_(OffsetIf(size.attention_bias, table, prefix + ".attn.proj.bias")),
      scale1_(OffsetIf(size.has_layer_scale(), table, prefix + ".scale1.gain")),
      scale2_(OffsetIf(size.has_layer_scale(), table, prefix + ".scale2.gain")) {}

BlockActivations Block::LayOut(int64_t tokens, Arena* arena) const {
  const int64_t floats = tokens * size_.width;
  BlockActivations a;
  a.x = arena->Take(floats);
  a.norm1 = norm1_.LayOut(tokens, arena);
  a.qkv = arena->Take(3 * floats);
  a.qkv_normed = size_.qk_norm ? arena->Take(3 * floats) : a.qkv;
  if (size_.qk_norm) a.qk_inv_rms = arena->Take(2 * tokens * size_.heads);
  a.attention = arena->Take(floats);
  a.lse = arena->Take(tokens * size_.heads);
  a.middle = arena->Take(floats);
  a.norm2 = norm2_.LayOut(tokens, arena);
  a.mlp = mlp_.LayOut(tokens, arena);
  if (size_.has_layer_scale()) {
    a.attention_branch = arena->Take(floats);
    a.mlp_branch = arena->Take(floats);
  }
  return a;
}

BlockScratch Block::LayOutScratch(int64_t tokens, Arena* arena) const {
  BlockScratch scratch;
  scratch.dtokens = arena->Take(tokens * size_.width);
  scratch.dqkv = arena->Take(3 * tokens * size_.width);
  scratch.dhidden = arena->Take(tokens * size_.mlp_dim);
  if (size_.has_layer_scale()) scratch.dbranch = arena->Take(tokens * size_.width);
  return scratch;
}

void Block::Forward(const float* parameters, absl::Span<const int32_t> cu_seqlens,
                    const BlockActivations& a, float* out, kernels::ThreadPool& pool) const {
  const int64_t tokens = cu_seqlens.back();
  const int64_t width = size_.width;
  const size_t stream_bytes = tokens * width * sizeof(float);
  norm1_.Forward(parameters, tokens, a.x, a.norm1, pool);
  kernels::LinearForward({.rows = tokens,
                          .in = width,
                          .out = 3 * width,
                          .x = a.norm1.y,
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
  const bool scaled = size_.has_layer_scale();
  std::memcpy(a.middle, a.x, stream_bytes);
  kernels::LinearForward({.rows = tokens,
                          .in = width,
                          .out = width,
                          .x = a.attention,
                          .weight = parameters + proj_,
                          .bias = size_.attention_bias ? parameters + proj_bias_ : nullptr,
                          .y = scaled ? a.attention_branch : a.middle,
                          .accumulate = !scaled},
                         pool);
  if (scaled) AddScaled(parameters + scale1_, tokens, a.attention_branch, a.middle, pool);
  norm2_.Forward(parameters, tokens, a.middle, a.norm2, pool);
  std::memcpy(out, a.middle, stream_bytes);
  mlp_.Forward(parameters, tokens, a.norm2.y, a.mlp, scaled ? a.mlp_branch : out, !scaled, pool);
  if (scaled) AddScaled(parameters + scale2_, tokens, a.mlp_branch, out, pool);
}

void Block::AddScaled(const float* gain, int64_t tokens, const float* branch, float* stream,
                      kernels::ThreadPool& pool) const {
  kernels::LayerScaleForward(
      {.rows = tokens, .dim = size_.width, .x = branch, .gain = gain, .y = stream}, pool);
}

const float* Block::BranchGradient(const float* parameters, float* gradients, size_t scale,
                                   int64_t tokens, const float* branch, const float* dx,
                                   const BlockScratch& scratch, kernels::ThreadPool& pool) const {
  if (!size_.has_layer_scale()) return dx;
  kernels::LayerScaleBackward({.rows = tokens,
                               .dim = size_.width,
                               .x = branch,
                               .gain = parameters + scale,
                               .dy = dx,
                               .dx = scratch.dbranch,
                               .dgain = gradients + scale},
                              pool);
  return scratch.dbranch;
}

void Block::Backward(const float* parameters, float* gradients,
                     absl::Span<const int32_t> cu_seqlens, const BlockActivations& a,
                     const BlockScratch& scratch, float* dx, kernels::ThreadPool& pool) const {
  const int64_t tokens = cu_seqlens.back();
  const int64_t width = size_.width;

  // MLP branch. dx passes unchanged along the residual, and the norm adds the branch's part.
  const float* dbranch =
      BranchGradient(parameters, gradients, scale2_, tokens, a.mlp_branch, dx, scratch, pool);
  mlp_.Backward(parameters, gradients, tokens, a.norm2.y, a.mlp, dbranch, scratch.dhidden,
                scratch.dtokens, pool);
  norm2_.Backward(parameters, gradients, tokens, a.middle, a.norm2, scratch.dtokens, dx,
                  /*accumulate=*/true, pool);

  // Attention branch.
  dbranch =
      BranchGradient(parameters, gradients, scale1_, tokens, a.attention_branch, dx, scratch, pool);
  kernels::LinearBackwardWeight({.rows = tokens,
                                 .in = width,
                                 .out = width,
                                 .x = a.attention,
                                 .dy = dbranch,
                                 .dweight = gradients + proj_,
                                 .dbias = size_.attention_bias ? gradients + proj_bias_ : nullptr},
                                pool);
  kernels::LinearBackwardInput({.rows = tokens,
                                .in = width,
                                .out = width,
                                .dy = dbranch,
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
                                 .x = a.norm1.y,
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
  norm1_.Backward(parameters, gradients, tokens, a.x, a.norm1, scratch.dtokens, dx,
                  /*accumulate=*/true, pool);
}

}  // namespace navit
