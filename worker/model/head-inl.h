// Definitions of head.h, for the files that instantiate it.
#ifndef NAVIT_WORKER_MODEL_HEAD_INL_H_
#define NAVIT_WORKER_MODEL_HEAD_INL_H_

#include "kernels/segment_pool.h"
#include "worker/model/head.h"

namespace navit {
namespace internal {

inline kernels::SegmentPoolKind PoolKind(const TowerConfig& size) {
  switch (size.pooling) {
    case v1::ImageTowerSpec::MEAN:
      return kernels::SegmentPoolKind::kMean;
    case v1::ImageTowerSpec::MAX:
      return kernels::SegmentPoolKind::kMax;
    default:
      return size.prefix_tokens > 0 ? kernels::SegmentPoolKind::kFirst
                                    : kernels::SegmentPoolKind::kLast;
  }
}

}  // namespace internal

template <typename Ops>
Head<Ops>::Head(const ParameterTable& table, const std::string& tower, const TowerConfig& size)
    : size_(size), outputs_(table.config().embedding_dim), classifier_(table.config().classes > 0) {
  if (classifier_) {
    outputs_ = table.config().classes;
    weight_ = table.Find(tower + ".classifier.weight").offset;
    bias_ = table.Find(tower + ".classifier.bias").offset;
    end_ = bias_ + AlignedFloats(outputs_);
  } else {
    weight_ = table.Find(tower + ".projection.weight").offset;
    end_ = weight_ + AlignedFloats(outputs_ * size.width);
  }
  if (size.norm_after_pooling) {
    norm_.emplace(table, tower + ".norm", size);
    end_ = norm_->end();
  }
  if (size.pooling == v1::ImageTowerSpec::MAP) {
    map_.emplace(table, tower + ".pool", size);
    end_ = map_->end();
  }
}

template <typename Ops>
HeadActivations<Ops> Head<Ops>::LayOut(int64_t tokens, int64_t segments, Arena* arena) const {
  HeadActivations<Ops> a;
  if (DropsPrefix()) a.tokens = arena->Take<Value>(tokens * size_.width);
  if (map_.has_value()) a.map = map_->LayOut(tokens, segments, arena);
  a.pooled = arena->Take<Value>(segments * size_.width);
  a.features = a.pooled;
  if (norm_.has_value()) {
    a.norm = norm_->LayOut(segments, arena);
    a.features = a.norm.y;
  }
  a.embedding = arena->Take<Value>(segments * outputs_);
  if (!classifier_) a.inv_norm = arena->Take(segments);
  return a;
}

template <typename Ops>
HeadScratch<Ops> Head<Ops>::LayOutScratch(int64_t tokens, int64_t segments, Arena* arena) const {
  HeadScratch<Ops> scratch;
  if (!classifier_) scratch.dembedding = arena->Take<Value>(segments * outputs_);
  scratch.dpooled = arena->Take<Value>(segments * size_.width);
  if (DropsPrefix()) scratch.dtokens = arena->Take<Value>(tokens * size_.width);
  if (map_.has_value()) scratch.map = map_->LayOutScratch(tokens, segments, arena);
  return scratch;
}

template <typename Ops>
void Head<Ops>::Forward(const float* parameters, Segments cu_seqlens, Segments with_prefix,
                        const Value* x, const HeadActivations<Ops>& a, Context& context) const {
  const int64_t width = size_.width;
  const int64_t segments = static_cast<int64_t>(cu_seqlens.size()) - 1;
  if (DropsPrefix()) {
    Ops::RemovePrefix({.segments = segments,
                       .prefix_tokens = size_.prefix_tokens,
                       .dim = width,
                       .cu_seqlens = cu_seqlens.data(),
                       .y = x,
                       .x = a.tokens},
                      context);
    x = a.tokens;
  } else {
    cu_seqlens = with_prefix;
  }
  if (map_.has_value()) {
    map_->Forward(parameters, cu_seqlens, x, a.map, a.pooled, context);
  } else {
    Ops::SegmentPoolForward({.tokens = cu_seqlens.back(),
                             .segments = segments,
                             .dim = width,
                             .kind = internal::PoolKind(size_),
                             .cu_seqlens = cu_seqlens.data(),
                             .x = x,
                             .pooled = a.pooled},
                            context);
  }
  if (norm_.has_value()) norm_->Forward(parameters, segments, a.pooled, a.norm, context);
  Ops::LinearForward({.rows = segments,
                      .in = width,
                      .out = outputs_,
                      .x = a.features,
                      .weight = parameters + weight_,
                      .bias = classifier_ ? parameters + bias_ : nullptr,
                      .y = a.embedding},
                     context);
  if (classifier_) return;
  Ops::L2NormalizeForward({.rows = segments,
                           .dim = outputs_,
                           .x = a.embedding,
                           .y = a.embedding,
                           .inv_norm = a.inv_norm},
                          context);
}

template <typename Ops>
void Head<Ops>::Backward(const float* parameters, float* gradients, Segments cu_seqlens,
                         Segments with_prefix, const Value* x, const HeadActivations<Ops>& a,
                         const Value* dembedding, const HeadScratch<Ops>& scratch, Value* dx,
                         Context& context) const {
  const int64_t width = size_.width;
  const int64_t segments = static_cast<int64_t>(cu_seqlens.size()) - 1;
  if (!classifier_) {
    Ops::L2NormalizeBackward({.rows = segments,
                              .dim = outputs_,
                              .y = a.embedding,
                              .inv_norm = a.inv_norm,
                              .dy = dembedding,
                              .dx = scratch.dembedding},
                             context);
    dembedding = scratch.dembedding;
  }
  Ops::LinearBackwardWeight({.rows = segments,
                             .in = width,
                             .out = outputs_,
                             .x = a.features,
                             .dy = dembedding,
                             .dweight = gradients + weight_,
                             .dbias = classifier_ ? gradients + bias_ : nullptr},
                            context);
  Ops::LinearBackwardInput({.rows = segments,
                            .in = width,
                            .out = outputs_,
                            .dy = dembedding,
                            .weight = parameters + weight_,
                            .dx = scratch.dpooled},
                           context);
  if (norm_.has_value()) {
    norm_->Backward(parameters, gradients, segments, a.pooled, a.norm, scratch.dpooled,
                    scratch.dpooled, /*accumulate=*/false, context);
  }
  const bool drops_prefix = DropsPrefix();
  const Segments pooled_seqlens = drops_prefix ? cu_seqlens : with_prefix;
  const Value* pooled_tokens = drops_prefix ? a.tokens : x;
  Value* dtokens = drops_prefix ? scratch.dtokens : dx;
  if (map_.has_value()) {
    map_->Backward(parameters, gradients, pooled_seqlens, pooled_tokens, a.map, scratch.map,
                   scratch.dpooled, dtokens, context);
  } else {
    Ops::SegmentPoolBackward({.tokens = pooled_seqlens.back(),
                              .segments = segments,
                              .dim = width,
                              .kind = internal::PoolKind(size_),
                              .cu_seqlens = pooled_seqlens.data(),
                              .x = pooled_tokens,
                              .dpooled = scratch.dpooled,
                              .dx = dtokens},
                             context);
  }
  if (!drops_prefix) return;
  Ops::InsertPrefix({.segments = segments,
                     .prefix_tokens = size_.prefix_tokens,
                     .dim = width,
                     .cu_seqlens = cu_seqlens.data(),
                     .x = dtokens,
                     .y = dx},
                    context);
}

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_HEAD_INL_H_
