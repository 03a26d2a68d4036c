#include "worker/model/map_pool.h"

#include <algorithm>
#include <cstring>

#include "kernels/linear.h"
#include "kernels/map_pool_attention.h"

namespace navit {

MapPool::MapPool(const ParameterTable& table, const std::string& name, const TowerConfig& size)
    : size_(size),
      probe_(table.Find(name + ".probe").offset),
      q_(table.Find(name + ".q.weight").offset),
      kv_(table.Find(name + ".kv.weight").offset),
      proj_(table.Find(name + ".proj.weight").offset),
      norm_(table, name + ".norm", size),
      mlp_(table, name + ".mlp", size) {
  if (!size.map_bias) return;
  q_bias_ = table.Find(name + ".q.bias").offset;
  kv_bias_ = table.Find(name + ".kv.bias").offset;
  proj_bias_ = table.Find(name + ".proj.bias").offset;
}

MapPoolActivations MapPool::LayOut(int64_t tokens, int64_t segments, Arena* arena) const {
  const int64_t width = size_.width;
  MapPoolActivations a;
  a.query = arena->Take(width);
  a.kv = arena->Take(2 * tokens * width);
  a.pooled = arena->Take(segments * width);
  a.lse = arena->Take(segments * size_.heads);
  a.y = arena->Take(segments * width);
  a.norm = norm_.LayOut(segments, arena);
  a.mlp = mlp_.LayOut(segments, arena);
  return a;
}

MapPoolScratch MapPool::LayOutScratch(int64_t tokens, int64_t segments, Arena* arena) const {
  MapPoolScratch scratch;
  scratch.drow = arena->Take(segments * size_.width);
  scratch.dhidden = arena->Take(segments * size_.mlp_dim);
  scratch.dkv = arena->Take(2 * tokens * size_.width);
  scratch.dquery = arena->Take(size_.width);
  return scratch;
}

void MapPool::Forward(const float* parameters, absl::Span<const int32_t> cu_seqlens,
                      const float* tokens, const MapPoolActivations& a, float* z,
                      kernels::ThreadPool& pool) const {
  const int64_t width = size_.width;
  const int64_t segments = static_cast<int64_t>(cu_seqlens.size()) - 1;
  kernels::LinearForward({.rows = 1,
                          .in = width,
                          .out = width,
                          .x = parameters + probe_,
                          .weight = parameters + q_,
                          .bias = Bias(parameters, q_bias_),
                          .y = a.query},
                         pool);
  kernels::LinearForward({.rows = cu_seqlens.back(),
                          .in = width,
                          .out = 2 * width,
                          .x = tokens,
                          .weight = parameters + kv_,
                          .bias = Bias(parameters, kv_bias_),
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
                          .bias = Bias(parameters, proj_bias_),
                          .y = a.y},
                         pool);
  norm_.Forward(parameters, segments, a.y, a.norm, pool);
  std::memcpy(z, a.y, segments * width * sizeof(float));
  mlp_.Forward(parameters, segments, a.norm.y, a.mlp, z, /*accumulate=*/true, pool);
}

void MapPool::Backward(const float* parameters, float* gradients,
                       absl::Span<const int32_t> cu_seqlens, const float* tokens,
                       const MapPoolActivations& a, const MapPoolScratch& scratch, float* dz,
                       float* dtokens, kernels::ThreadPool& pool) const {
  const int64_t width = size_.width;
  const int64_t segments = static_cast<int64_t>(cu_seqlens.size()) - 1;
  mlp_.Backward(parameters, gradients, segments, a.norm.y, a.mlp, dz, scratch.dhidden, scratch.drow,
                pool);
  // dz passes along the residual; the norm adds the branch's part.
  norm_.Backward(parameters, gradients, segments, a.y, a.norm, scratch.drow, dz,
                 /*accumulate=*/true, pool);
  kernels::LinearBackwardWeight({.rows = segments,
                                 .in = width,
                                 .out = width,
                                 .x = a.pooled,
                                 .dy = dz,
                                 .dweight = gradients + proj_,
                                 .dbias = Bias(gradients, proj_bias_)},
                                pool);
  kernels::LinearBackwardInput({.rows = segments,
                                .in = width,
                                .out = width,
                                .dy = dz,
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
                                 .dweight = gradients + kv_,
                                 .dbias = Bias(gradients, kv_bias_)},
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
                                 .dweight = gradients + q_,
                                 .dbias = Bias(gradients, q_bias_)},
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

}  // namespace navit
