#include "worker/model/map_head.h"

#include <algorithm>
#include <cstring>

#include "kernels/bias_gelu.h"
#include "kernels/l2_normalize.h"
#include "kernels/linear.h"
#include "kernels/map_pool_attention.h"
#include "kernels/rms_norm.h"
#include "kernels/segment_pool.h"

namespace navit {
namespace {

kernels::SegmentPoolKind KindOf(v1::ImageTowerSpec::Pooling pooling) {
  return pooling == v1::ImageTowerSpec::MEAN ? kernels::SegmentPoolKind::kMean
                                             : kernels::SegmentPoolKind::kMax;
}

}  // namespace

MapHead::MapHead(const ParameterTable& table, const std::string& tower, const TowerConfig& size)
    : size_(size),
      embedding_dim_(table.config().embedding_dim),
      projection_(table.Find(tower + ".projection.weight").offset) {
  if (size.pooling != v1::ImageTowerSpec::MAP) {
    end_ = projection_ + AlignedFloats(embedding_dim_ * size.width);
    return;
  }
  probe_ = table.Find(tower + ".pool.probe").offset;
  q_ = table.Find(tower + ".pool.q.weight").offset;
  kv_ = table.Find(tower + ".pool.kv.weight").offset;
  proj_ = table.Find(tower + ".pool.proj.weight").offset;
  norm_ = table.Find(tower + ".pool.norm.gain").offset;
  fc1_ = table.Find(tower + ".pool.mlp.fc1.weight").offset;
  fc1_bias_ = table.Find(tower + ".pool.mlp.fc1.bias").offset;
  fc2_ = table.Find(tower + ".pool.mlp.fc2.weight").offset;
  fc2_bias_ = table.Find(tower + ".pool.mlp.fc2.bias").offset;
  end_ = probe_ + AlignedFloats(size.width);
}

MapHeadActivations MapHead::LayOut(int64_t tokens, int64_t segments, Arena* arena) const {
  const int64_t width = size_.width;
  MapHeadActivations a;
  a.z = arena->Take(segments * width);
  a.embedding = arena->Take(segments * embedding_dim_);
  a.inv_norm = arena->Take(segments);
  if (size_.pooling != v1::ImageTowerSpec::MAP) return a;
  a.query = arena->Take(width);
  a.kv = arena->Take(2 * tokens * width);
  a.pooled = arena->Take(segments * width);
  a.lse = arena->Take(segments * size_.heads);
  a.y = arena->Take(segments * width);
  a.norm = arena->Take(segments * width);
  a.norm_inv_rms = arena->Take(segments);
  a.hidden = arena->Take(segments * size_.mlp_dim);
  a.active = arena->Take(segments * size_.mlp_dim);
  return a;
}

MapHeadScratch MapHead::LayOutScratch(int64_t tokens, int64_t segments, Arena* arena) const {
  MapHeadScratch scratch;
  scratch.dembedding = arena->Take(segments * embedding_dim_);
  scratch.dz = arena->Take(segments * size_.width);
  if (size_.pooling != v1::ImageTowerSpec::MAP) return scratch;
  scratch.drow = arena->Take(segments * size_.width);
  scratch.dhidden = arena->Take(segments * size_.mlp_dim);
  scratch.dkv = arena->Take(2 * tokens * size_.width);
  scratch.dquery = arena->Take(size_.width);
  return scratch;
}

void MapHead::PoolForward(const float* parameters, absl::Span<const int32_t> cu_seqlens,
                          const float* tokens, const MapHeadActivations& a,
                          kernels::ThreadPool& pool) const {
  const int64_t width = size_.width;
  const int64_t mlp_dim = size_.mlp_dim;
  const int64_t segments = static_cast<int64_t>(cu_seqlens.size()) - 1;
  if (size_.pooling != v1::ImageTowerSpec::MAP) {
    kernels::SegmentPoolForward({.tokens = cu_seqlens.back(),
                                 .segments = segments,
                                 .dim = width,
                                 .kind = KindOf(size_.pooling),
                                 .cu_seqlens = cu_seqlens.data(),
                                 .x = tokens,
                                 .pooled = a.z},
                                pool);
    return;
  }
  kernels::LinearForward({.rows = 1,
                          .in = width,
                          .out = width,
                          .x = parameters + probe_,
                          .weight = parameters + q_,
                          .y = a.query},
                         pool);
  kernels::LinearForward({.rows = cu_seqlens.back(),
                          .in = width,
                          .out = 2 * width,
                          .x = tokens,
                          .weight = parameters + kv_,
                          .y = a.kv},
                         pool);
  kernels::MapPoolAttentionForward({.tokens = cu_seqlens.back(),
                                    .segments = segments,
                                    .heads = size_.heads,
                                    .head_dim = size_.head_dim(),
                                    .cu_seqlens = cu_seqlens.data(),
                                    .query = a.query,
                                    .kv = a.kv,
                                    .pooled = a.pooled,
                                    .lse = a.lse},
                                   pool);
  kernels::LinearForward({.rows = segments,
                          .in = width,
                          .out = width,
                          .x = a.pooled,
                          .weight = parameters + proj_,
                          .y = a.y},
                         pool);
  kernels::RmsNormForward({.rows = segments,
                           .dim = width,
                           .eps = size_.eps,
                           .x = a.y,
                           .gain = parameters + norm_,
                           .y = a.norm,
                           .inv_rms = a.norm_inv_rms},
                          pool);
  kernels::LinearForward({.rows = segments,
                          .in = width,
                          .out = mlp_dim,
                          .x = a.norm,
                          .weight = parameters + fc1_,
                          .y = a.hidden},
                         pool);
  kernels::BiasGeluForward({.rows = segments,
                            .dim = mlp_dim,
                            .x = a.hidden,
                            .bias = parameters + fc1_bias_,
                            .y = a.active,
                            .erf = size_.gelu_erf},
                           pool);
  std::memcpy(a.z, a.y, segments * width * sizeof(float));
  kernels::LinearForward({.rows = segments,
                          .in = mlp_dim,
                          .out = width,
                          .x = a.active,
                          .weight = parameters + fc2_,
                          .bias = parameters + fc2_bias_,
                          .y = a.z,
                          .accumulate = true},
                         pool);
}

void MapHead::Forward(const float* parameters, absl::Span<const int32_t> cu_seqlens,
                      const float* tokens, const MapHeadActivations& a,
                      kernels::ThreadPool& pool) const {
  const int64_t width = size_.width;
  const int64_t segments = static_cast<int64_t>(cu_seqlens.size()) - 1;
  PoolForward(parameters, cu_seqlens, tokens, a, pool);
  kernels::LinearForward({.rows = segments,
                          .in = width,
                          .out = embedding_dim_,
                          .x = a.z,
                          .weight = parameters + projection_,
                          .y = a.embedding},
                         pool);
  kernels::L2NormalizeForward({.rows = segments,
                               .dim = embedding_dim_,
                               .x = a.embedding,
                               .y = a.embedding,
                               .inv_norm = a.inv_norm},
                              pool);
}

void MapHead::PoolBackward(const float* parameters, float* gradients,
                           absl::Span<const int32_t> cu_seqlens, const float* tokens,
                           const MapHeadActivations& a, const MapHeadScratch& scratch,
                           float* dtokens, kernels::ThreadPool& pool) const {
  const int64_t width = size_.width;
  const int64_t mlp_dim = size_.mlp_dim;
  const int64_t segments = static_cast<int64_t>(cu_seqlens.size()) - 1;
  if (size_.pooling != v1::ImageTowerSpec::MAP) {
    kernels::SegmentPoolBackward({.tokens = cu_seqlens.back(),
                                  .segments = segments,
                                  .dim = width,
                                  .kind = KindOf(size_.pooling),
                                  .cu_seqlens = cu_seqlens.data(),
                                  .x = tokens,
                                  .dpooled = scratch.dz,
                                  .dx = dtokens},
                                 pool);
    return;
  }
  kernels::LinearBackwardWeight({.rows = segments,
                                 .in = mlp_dim,
                                 .out = width,
                                 .x = a.active,
                                 .dy = scratch.dz,
                                 .dweight = gradients + fc2_,
                                 .dbias = gradients + fc2_bias_},
                                pool);
  kernels::LinearBackwardInput({.rows = segments,
                                .in = mlp_dim,
                                .out = width,
                                .dy = scratch.dz,
                                .weight = parameters + fc2_,
                                .dx = scratch.dhidden},
                               pool);
  kernels::BiasGeluBackward({.rows = segments,
                             .dim = mlp_dim,
                             .x = a.hidden,
                             .bias = parameters + fc1_bias_,
                             .dy = scratch.dhidden,
                             .dx = scratch.dhidden,
                             .dbias = gradients + fc1_bias_,
                             .erf = size_.gelu_erf},
                            pool);
  kernels::LinearBackwardWeight({.rows = segments,
                                 .in = width,
                                 .out = mlp_dim,
                                 .x = a.norm,
                                 .dy = scratch.dhidden,
                                 .dweight = gradients + fc1_},
                                pool);
  kernels::LinearBackwardInput({.rows = segments,
                                .in = width,
                                .out = mlp_dim,
                                .dy = scratch.dhidden,
                                .weight = parameters + fc1_,
                                .dx = scratch.drow},
                               pool);
  // dz passes along the residual; the norm adds the branch's part.
  kernels::RmsNormBackward({.rows = segments,
                            .dim = width,
                            .x = a.y,
                            .gain = parameters + norm_,
                            .inv_rms = a.norm_inv_rms,
                            .dy = scratch.drow,
                            .dx = scratch.dz,
                            .dgain = gradients + norm_,
                            .accumulate = true},
                           pool);
  kernels::LinearBackwardWeight({.rows = segments,
                                 .in = width,
                                 .out = width,
                                 .x = a.pooled,
                                 .dy = scratch.dz,
                                 .dweight = gradients + proj_},
                                pool);
  kernels::LinearBackwardInput({.rows = segments,
                                .in = width,
                                .out = width,
                                .dy = scratch.dz,
                                .weight = parameters + proj_,
                                .dx = scratch.drow},
                               pool);
  std::fill_n(scratch.dquery, width, 0.0f);
  kernels::MapPoolAttentionBackward({.tokens = cu_seqlens.back(),
                                     .segments = segments,
                                     .heads = size_.heads,
                                     .head_dim = size_.head_dim(),
                                     .cu_seqlens = cu_seqlens.data(),
                                     .query = a.query,
                                     .kv = a.kv,
                                     .pooled = a.pooled,
                                     .lse = a.lse,
                                     .dpooled = scratch.drow,
                                     .dkv = scratch.dkv,
                                     .dquery = scratch.dquery},
                                    pool);
  kernels::LinearBackwardWeight({.rows = cu_seqlens.back(),
                                 .in = width,
                                 .out = 2 * width,
                                 .x = tokens,
                                 .dy = scratch.dkv,
                                 .dweight = gradients + kv_},
                                pool);
  kernels::LinearBackwardInput({.rows = cu_seqlens.back(),
                                .in = width,
                                .out = 2 * width,
                                .dy = scratch.dkv,
                                .weight = parameters + kv_,
                                .dx = dtokens},
                               pool);
  kernels::LinearBackwardWeight({.rows = 1,
                                 .in = width,
                                 .out = width,
                                 .x = parameters + probe_,
                                 .dy = scratch.dquery,
                                 .dweight = gradients + q_},
                                pool);
  kernels::LinearBackwardInput({.rows = 1,
                                .in = width,
                                .out = width,
                                .dy = scratch.dquery,
                                .weight = parameters + q_,
                                .dx = gradients + probe_,
                                .accumulate = true},
                               pool);
}

void MapHead::Backward(const float* parameters, float* gradients,
                       absl::Span<const int32_t> cu_seqlens, const float* tokens,
                       const MapHeadActivations& a, const float* dembedding,
                       const MapHeadScratch& scratch, float* dtokens,
                       kernels::ThreadPool& pool) const {
  const int64_t width = size_.width;
  const int64_t segments = static_cast<int64_t>(cu_seqlens.size()) - 1;
  kernels::L2NormalizeBackward({.rows = segments,
                                .dim = embedding_dim_,
                                .y = a.embedding,
                                .inv_norm = a.inv_norm,
                                .dy = dembedding,
                                .dx = scratch.dembedding},
                               pool);
  kernels::LinearBackwardWeight({.rows = segments,
                                 .in = width,
                                 .out = embedding_dim_,
                                 .x = a.z,
                                 .dy = scratch.dembedding,
                                 .dweight = gradients + projection_},
                                pool);
  kernels::LinearBackwardInput({.rows = segments,
                                .in = width,
                                .out = embedding_dim_,
                                .dy = scratch.dembedding,
                                .weight = parameters + projection_,
                                .dx = scratch.dz},
                               pool);
  PoolBackward(parameters, gradients, cu_seqlens, tokens, a, scratch, dtokens, pool);
}

}  // namespace navit
