// Definitions of map_pool.h, for the files that instantiate it.
#ifndef NAVIT_WORKER_MODEL_MAP_POOL_INL_H_
#define NAVIT_WORKER_MODEL_MAP_POOL_INL_H_

#include "worker/model/map_pool.h"

namespace navit {

template <typename Ops>
MapPool<Ops>::MapPool(const ParameterTable& table, const std::string& name, const TowerConfig& size)
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

template <typename Ops>
MapPoolActivations<Ops> MapPool<Ops>::LayOut(int64_t tokens, int64_t segments, Arena* arena) const {
  const int64_t width = size_.width;
  MapPoolActivations<Ops> a;
  a.query_values = arena->Take<Value>(width);
  a.query = arena->Take(width);
  a.kv = arena->Take<Value>(2 * tokens * width);
  a.pooled = arena->Take<Value>(segments * width);
  a.lse = arena->Take(segments * size_.heads);
  a.y = arena->Take<Value>(segments * width);
  a.norm = norm_.LayOut(segments, arena);
  a.mlp = mlp_.LayOut(segments, arena);
  return a;
}

template <typename Ops>
MapPoolScratch<Ops> MapPool<Ops>::LayOutScratch(int64_t tokens, int64_t segments,
                                                Arena* arena) const {
  MapPoolScratch<Ops> scratch;
  scratch.drow = arena->Take<Value>(segments * size_.width);
  scratch.dhidden = arena->Take<Value>(segments * size_.mlp_dim);
  scratch.dkv = arena->Take<Value>(2 * tokens * size_.width);
  scratch.dquery = arena->Take(size_.width);
  scratch.dquery_values = arena->Take<Value>(size_.width);
  scratch.dprobe = arena->Take<Value>(size_.width);
  return scratch;
}

template <typename Ops>
void MapPool<Ops>::Forward(const float* parameters, Segments cu_seqlens, const Value* tokens,
                           const MapPoolActivations<Ops>& a, Value* z, Context& context) const {
  const int64_t width = size_.width;
  const int64_t segments = static_cast<int64_t>(cu_seqlens.size()) - 1;
  Ops::LinearForward({.rows = 1,
                      .in = width,
                      .out = width,
                      .x = Ops::AsValue(parameters + probe_, context),
                      .weight = parameters + q_,
                      .bias = Bias(parameters, q_bias_),
                      .y = a.query_values},
                     context);
  Ops::ToFloats(width, a.query_values, a.query, context);
  Ops::LinearForward({.rows = cu_seqlens.back(),
                      .in = width,
                      .out = 2 * width,
                      .x = tokens,
                      .weight = parameters + kv_,
                      .bias = Bias(parameters, kv_bias_),
                      .y = a.kv},
                     context);
  Ops::MapPoolAttentionForward({.tokens = cu_seqlens.back(),
                                .segments = segments,
                                .heads = size_.heads,
                                .head_dim = size_.head_dim(),
                                .cu_seqlens = cu_seqlens.data(),
                                .query = a.query,
                                .kv = a.kv,
                                .pooled = a.pooled,
                                .lse = a.lse},
                               context);
  Ops::LinearForward({.rows = segments,
                      .in = width,
                      .out = width,
                      .x = a.pooled,
                      .weight = parameters + proj_,
                      .bias = Bias(parameters, proj_bias_),
                      .y = a.y},
                     context);
  norm_.Forward(parameters, segments, a.y, a.norm, context);
  Ops::Copy(segments * width, a.y, z, context);
  mlp_.Forward(parameters, segments, a.norm.y, a.mlp, z, /*accumulate=*/true, context);
}

template <typename Ops>
void MapPool<Ops>::Backward(const float* parameters, float* gradients, Segments cu_seqlens,
                            const Value* tokens, const MapPoolActivations<Ops>& a,
                            const MapPoolScratch<Ops>& scratch, Value* dz, Value* dtokens,
                            Context& context) const {
  const int64_t width = size_.width;
  const int64_t segments = static_cast<int64_t>(cu_seqlens.size()) - 1;
  mlp_.Backward(parameters, gradients, segments, a.norm.y, a.mlp, dz, scratch.dhidden, scratch.drow,
                context);
  // dz passes along the residual; the norm adds the branch's part.
  norm_.Backward(parameters, gradients, segments, a.y, a.norm, scratch.drow, dz,
                 /*accumulate=*/true, context);
  Ops::LinearBackwardWeight({.rows = segments,
                             .in = width,
                             .out = width,
                             .x = a.pooled,
                             .dy = dz,
                             .dweight = gradients + proj_,
                             .dbias = Bias(gradients, proj_bias_)},
                            context);
  Ops::LinearBackwardInput({.rows = segments,
                            .in = width,
                            .out = width,
                            .dy = dz,
                            .weight = parameters + proj_,
                            .dx = scratch.drow},
                           context);
  Ops::FillZero(width, scratch.dquery, context);
  Ops::MapPoolAttentionBackward({.tokens = cu_seqlens.back(),
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
                                context);
  Ops::LinearBackwardWeight({.rows = cu_seqlens.back(),
                             .in = width,
                             .out = 2 * width,
                             .x = tokens,
                             .dy = scratch.dkv,
                             .dweight = gradients + kv_,
                             .dbias = Bias(gradients, kv_bias_)},
                            context);
  Ops::LinearBackwardInput({.rows = cu_seqlens.back(),
                            .in = width,
                            .out = 2 * width,
                            .dy = scratch.dkv,
                            .weight = parameters + kv_,
                            .dx = dtokens},
                           context);
  Ops::ToValues(width, scratch.dquery, scratch.dquery_values, context);
  Ops::LinearBackwardWeight({.rows = 1,
                             .in = width,
                             .out = width,
                             .x = Ops::AsValue(parameters + probe_, context),
                             .dy = scratch.dquery_values,
                             .dweight = gradients + q_,
                             .dbias = Bias(gradients, q_bias_)},
                            context);
  Ops::LinearBackwardInput({.rows = 1,
                            .in = width,
                            .out = width,
                            .dy = scratch.dquery_values,
                            .weight = parameters + q_,
                            .dx = scratch.dprobe},
                           context);
  Ops::AddToFloats(width, scratch.dprobe, gradients + probe_, context);
}

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_MAP_POOL_INL_H_
