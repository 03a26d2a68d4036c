// Definitions of block.h, for the files that instantiate it.
#ifndef NAVIT_WORKER_MODEL_BLOCK_INL_H_
#define NAVIT_WORKER_MODEL_BLOCK_INL_H_

#include "worker/model/block.h"

namespace navit {
namespace internal {

// Offset of a parameter that the tower may lack.
inline size_t OffsetIf(bool present, const ParameterTable& table, const std::string& name) {
  return present ? table.Find(name).offset : 0;
}

}  // namespace internal

template <typename Ops>
Block<Ops>::Block(const ParameterTable& table, const std::string& prefix, const TowerConfig& size)
    : size_(size),
      norm1_(table, prefix + ".norm1", size),
      norm2_(table, prefix + ".norm2", size),
      mlp_(table, prefix + ".mlp", size),
      qkv_(table.Find(prefix + ".attn.qkv.weight").offset),
      qkv_bias_(internal::OffsetIf(size.attention_bias, table, prefix + ".attn.qkv.bias")),
      q_norm_(internal::OffsetIf(size.qk_norm, table, prefix + ".attn.q_norm.gain")),
      k_norm_(internal::OffsetIf(size.qk_norm, table, prefix + ".attn.k_norm.gain")),
      proj_(table.Find(prefix + ".attn.proj.weight").offset),
      proj_bias_(internal::OffsetIf(size.attention_bias, table, prefix + ".attn.proj.bias")),
      scale1_(internal::OffsetIf(size.has_layer_scale(), table, prefix + ".scale1.gain")),
      scale2_(internal::OffsetIf(size.has_layer_scale(), table, prefix + ".scale2.gain")) {}

template <typename Ops>
BlockActivations<Ops> Block<Ops>::LayOut(int64_t tokens, Arena* arena) const {
  const int64_t floats = tokens * size_.width;
  BlockActivations<Ops> a;
  a.x = arena->Take<Value>(floats);
  a.norm1 = norm1_.LayOut(tokens, arena);
  a.qkv = arena->Take<Value>(3 * floats);
  a.qkv_normed = size_.qk_norm ? arena->Take<Value>(3 * floats) : a.qkv;
  if (size_.qk_norm) a.qk_inv_rms = arena->Take(2 * tokens * size_.heads);
  a.attention = arena->Take<Value>(floats);
  a.lse = arena->Take(tokens * size_.heads);
  a.middle = arena->Take<Value>(floats);
  a.norm2 = norm2_.LayOut(tokens, arena);
  a.mlp = mlp_.LayOut(tokens, arena);
  if (size_.has_layer_scale()) {
    a.attention_branch = arena->Take<Value>(floats);
    a.mlp_branch = arena->Take<Value>(floats);
  }
  return a;
}

template <typename Ops>
BlockScratch<Ops> Block<Ops>::LayOutScratch(int64_t tokens, Arena* arena) const {
  BlockScratch<Ops> scratch;
  scratch.dtokens = arena->Take<Value>(tokens * size_.width);
  scratch.dqkv = arena->Take<Value>(3 * tokens * size_.width);
  scratch.dhidden = arena->Take<Value>(tokens * size_.mlp_dim);
  if (size_.has_layer_scale()) scratch.dbranch = arena->Take<Value>(tokens * size_.width);
  return scratch;
}

template <typename Ops>
void Block<Ops>::Forward(const float* parameters, Segments cu_seqlens,
                         const BlockActivations<Ops>& a, Value* out, Context& context) const {
  const int64_t tokens = cu_seqlens.back();
  const int64_t width = size_.width;
  norm1_.Forward(parameters, tokens, a.x, a.norm1, context);
  Ops::LinearForward({.rows = tokens,
                      .in = width,
                      .out = 3 * width,
                      .x = a.norm1.y,
                      .weight = parameters + qkv_,
                      .bias = size_.attention_bias ? parameters + qkv_bias_ : nullptr,
                      .y = a.qkv},
                     context);
  Ops::QkNormRopeForward({.tokens = tokens,
                          .heads = size_.heads,
                          .head_dim = size_.head_dim(),
                          .qkv = a.qkv,
                          .q_gain = size_.qk_norm ? parameters + q_norm_ : nullptr,
                          .k_gain = size_.qk_norm ? parameters + k_norm_ : nullptr,
                          .cos_sin = a.rope,
                          .normed = a.qkv_normed,
                          .inv_rms = a.qk_inv_rms},
                         context);
  Ops::SegmentAttentionForward({.tokens = tokens,
                                .segments = static_cast<int64_t>(cu_seqlens.size()) - 1,
                                .heads = size_.heads,
                                .head_dim = size_.head_dim(),
                                .causal = size_.causal,
                                .cu_seqlens = cu_seqlens.data(),
                                .qkv = a.qkv_normed,
                                .out = a.attention,
                                .lse = a.lse},
                               context);
  const bool scaled = size_.has_layer_scale();
  Ops::Copy(tokens * width, a.x, a.middle, context);
  Ops::LinearForward({.rows = tokens,
                      .in = width,
                      .out = width,
                      .x = a.attention,
                      .weight = parameters + proj_,
                      .bias = size_.attention_bias ? parameters + proj_bias_ : nullptr,
                      .y = scaled ? a.attention_branch : a.middle,
                      .accumulate = !scaled},
                     context);
  if (scaled) AddScaled(parameters + scale1_, tokens, a.attention_branch, a.middle, context);
  norm2_.Forward(parameters, tokens, a.middle, a.norm2, context);
  Ops::Copy(tokens * width, a.middle, out, context);
  mlp_.Forward(parameters, tokens, a.norm2.y, a.mlp, scaled ? a.mlp_branch : out, !scaled, context);
  if (scaled) AddScaled(parameters + scale2_, tokens, a.mlp_branch, out, context);
}

template <typename Ops>
void Block<Ops>::AddScaled(const float* gain, int64_t tokens, const Value* branch, Value* stream,
                           Context& context) const {
  Ops::LayerScaleForward(
      {.rows = tokens, .dim = size_.width, .x = branch, .gain = gain, .y = stream}, context);
}

template <typename Ops>
const typename Ops::Value* Block<Ops>::BranchGradient(const float* parameters, float* gradients,
                                                      size_t scale, int64_t tokens,
                                                      const Value* branch, const Value* dx,
                                                      const BlockScratch<Ops>& scratch,
                                                      Context& context) const {
  if (!size_.has_layer_scale()) return dx;
  Ops::LayerScaleBackward({.rows = tokens,
                           .dim = size_.width,
                           .x = branch,
                           .gain = parameters + scale,
                           .dy = dx,
                           .dx = scratch.dbranch,
                           .dgain = gradients + scale},
                          context);
  return scratch.dbranch;
}

template <typename Ops>
void Block<Ops>::Backward(const float* parameters, float* gradients, Segments cu_seqlens,
                          const BlockActivations<Ops>& a, const BlockScratch<Ops>& scratch,
                          Value* dx, Context& context, const GradientProgress& progress) const {
  const int64_t tokens = cu_seqlens.back();
  const int64_t width = size_.width;
  const auto complete = [&progress](size_t end) {
    if (progress) progress(end);
  };

  // MLP branch. dx passes unchanged along the residual, and the norm adds the branch's part.
  const Value* dbranch =
      BranchGradient(parameters, gradients, scale2_, tokens, a.mlp_branch, dx, scratch, context);
  mlp_.Backward(parameters, gradients, tokens, a.norm2.y, a.mlp, dbranch, scratch.dhidden,
                scratch.dtokens, context);
  norm2_.Backward(parameters, gradients, tokens, a.middle, a.norm2, scratch.dtokens, dx,
                  /*accumulate=*/true, context);
  complete(norm2_.end());

  // Attention branch.
  dbranch = BranchGradient(parameters, gradients, scale1_, tokens, a.attention_branch, dx, scratch,
                           context);
  Ops::LinearBackwardWeight({.rows = tokens,
                             .in = width,
                             .out = width,
                             .x = a.attention,
                             .dy = dbranch,
                             .dweight = gradients + proj_,
                             .dbias = size_.attention_bias ? gradients + proj_bias_ : nullptr},
                            context);
  complete(proj_ + AlignedFloats(width * width));
  Ops::LinearBackwardInput({.rows = tokens,
                            .in = width,
                            .out = width,
                            .dy = dbranch,
                            .weight = parameters + proj_,
                            .dx = scratch.dtokens},
                           context);
  Ops::SegmentAttentionBackward({.tokens = tokens,
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
                                context);
  Ops::QkNormRopeBackward({.tokens = tokens,
                           .heads = size_.heads,
                           .head_dim = size_.head_dim(),
                           .qkv = a.qkv,
                           .q_gain = size_.qk_norm ? parameters + q_norm_ : nullptr,
                           .k_gain = size_.qk_norm ? parameters + k_norm_ : nullptr,
                           .cos_sin = a.rope,
                           .inv_rms = a.qk_inv_rms,
                           .dqkv = scratch.dqkv,
                           .dq_gain = gradients + q_norm_,
                           .dk_gain = gradients + k_norm_},
                          context);
  Ops::LinearBackwardWeight({.rows = tokens,
                             .in = width,
                             .out = 3 * width,
                             .x = a.norm1.y,
                             .dy = scratch.dqkv,
                             .dweight = gradients + qkv_,
                             .dbias = size_.attention_bias ? gradients + qkv_bias_ : nullptr},
                            context);
  complete(qkv_ + AlignedFloats(3 * width * width));
  Ops::LinearBackwardInput({.rows = tokens,
                            .in = width,
                            .out = 3 * width,
                            .dy = scratch.dqkv,
                            .weight = parameters + qkv_,
                            .dx = scratch.dtokens},
                           context);
  norm1_.Backward(parameters, gradients, tokens, a.x, a.norm1, scratch.dtokens, dx,
                  /*accumulate=*/true, context);
  complete(end());
}

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_BLOCK_INL_H_
