#include "worker/model/head.h"

#include "kernels/l2_normalize.h"
#include "kernels/linear.h"
#include "kernels/prefix_tokens.h"
#include "kernels/segment_pool.h"

namespace navit {
namespace {

using Image = v1::ImageTowerSpec;

kernels::SegmentPoolKind KindOf(const TowerConfig& size) {
  switch (size.pooling) {
    case Image::MEAN:
      return kernels::SegmentPoolKind::kMean;
    case Image::MAX:
      return kernels::SegmentPoolKind::kMax;
    default:
      return size.prefix_tokens > 0 ? kernels::SegmentPoolKind::kFirst
                                    : kernels::SegmentPoolKind::kLast;
  }
}

}  // namespace

Head::Head(const ParameterTable& table, const std::string& tower, const TowerConfig& size)
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
  if (size.pooling == Image::MAP) {
    map_.emplace(table, tower + ".pool", size);
    end_ = map_->end();
  }
}

HeadActivations Head::LayOut(int64_t tokens, int64_t segments, Arena* arena) const {
  HeadActivations a;
  if (DropsPrefix()) a.tokens = arena->Take(tokens * size_.width);
  if (map_.has_value()) a.map = map_->LayOut(tokens, segments, arena);
  a.pooled = arena->Take(segments * size_.width);
  a.features = a.pooled;
  if (norm_.has_value()) {
    a.norm = norm_->LayOut(segments, arena);
    a.features = a.norm.y;
  }
  a.embedding = arena->Take(segments * outputs_);
  if (!classifier_) a.inv_norm = arena->Take(segments);
  return a;
}

HeadScratch Head::LayOutScratch(int64_t tokens, int64_t segments, Arena* arena) const {
  HeadScratch scratch;
  if (!classifier_) scratch.dembedding = arena->Take(segments * outputs_);
  scratch.dpooled = arena->Take(segments * size_.width);
  if (DropsPrefix()) scratch.dtokens = arena->Take(tokens * size_.width);
  if (map_.has_value()) scratch.map = map_->LayOutScratch(tokens, segments, arena);
  return scratch;
}

void Head::Forward(const float* parameters, absl::Span<const int32_t> cu_seqlens,
                   absl::Span<const int32_t> with_prefix, const float* x, const HeadActivations& a,
                   kernels::ThreadPool& pool) const {
  const int64_t width = size_.width;
  const int64_t segments = static_cast<int64_t>(cu_seqlens.size()) - 1;
  if (DropsPrefix()) {
    kernels::RemovePrefix({.segments = segments,
                           .prefix_tokens = size_.prefix_tokens,
                           .dim = width,
                           .cu_seqlens = cu_seqlens.data(),
                           .y = x,
                           .x = a.tokens},
                          pool);
    x = a.tokens;
  } else {
    cu_seqlens = with_prefix;
  }
  if (map_.has_value()) {
    map_->Forward(parameters, cu_seqlens, x, a.map, a.pooled, pool);
  } else {
    kernels::SegmentPoolForward({.tokens = cu_seqlens.back(),
                                 .segments = segments,
                                 .dim = width,
                                 .kind = KindOf(size_),
                                 .cu_seqlens = cu_seqlens.data(),
                                 .x = x,
                                 .pooled = a.pooled},
                                pool);
  }
  if (norm_.has_value()) norm_->Forward(parameters, segments, a.pooled, a.norm, pool);
  kernels::LinearForward({.rows = segments,
                          .in = width,
                          .out = outputs_,
                          .x = a.features,
                          .weight = parameters + weight_,
                          .bias = classifier_ ? parameters + bias_ : nullptr,
                          .y = a.embedding},
                         pool);
  if (classifier_) return;
  kernels::L2NormalizeForward({.rows = segments,
                               .dim = outputs_,
                               .x = a.embedding,
                               .y = a.embedding,
                               .inv_norm = a.inv_norm},
                              pool);
}

void Head::Backward(const float* parameters, float* gradients, absl::Span<const int32_t> cu_seqlens,
                    absl::Span<const int32_t> with_prefix, const float* x, const HeadActivations& a,
                    const float* dembedding, const HeadScratch& scratch, float* dx,
                    kernels::ThreadPool& pool) const {
  const int64_t width = size_.width;
  const int64_t segments = static_cast<int64_t>(cu_seqlens.size()) - 1;
  if (!classifier_) {
    kernels::L2NormalizeBackward({.rows = segments,
                                  .dim = outputs_,
                                  .y = a.embedding,
                                  .inv_norm = a.inv_norm,
                                  .dy = dembedding,
                                  .dx = scratch.dembedding},
                                 pool);
    dembedding = scratch.dembedding;
  }
  kernels::LinearBackwardWeight({.rows = segments,
                                 .in = width,
                                 .out = outputs_,
                                 .x = a.features,
                                 .dy = dembedding,
                                 .dweight = gradients + weight_,
                                 .dbias = classifier_ ? gradients + bias_ : nullptr},
                                pool);
  kernels::LinearBackwardInput({.rows = segments,
                                .in = width,
                                .out = outputs_,
                                .dy = dembedding,
                                .weight = parameters + weight_,
                                .dx = scratch.dpooled},
                               pool);
  if (norm_.has_value()) {
    norm_->Backward(parameters, gradients, segments, a.pooled, a.norm, scratch.dpooled,
                    scratch.dpooled, /*accumulate=*/false, pool);
  }
  const bool drops_prefix = DropsPrefix();
  const absl::Span<const int32_t> pooled_seqlens = drops_prefix ? cu_seqlens : with_prefix;
  const float* pooled_tokens = drops_prefix ? a.tokens : x;
  float* dtokens = drops_prefix ? scratch.dtokens : dx;
  if (map_.has_value()) {
    map_->Backward(parameters, gradients, pooled_seqlens, pooled_tokens, a.map, scratch.map,
                   scratch.dpooled, dtokens, pool);
  } else {
    kernels::SegmentPoolBackward({.tokens = pooled_seqlens.back(),
                                  .segments = segments,
                                  .dim = width,
                                  .kind = KindOf(size_),
                                  .cu_seqlens = pooled_seqlens.data(),
                                  .x = pooled_tokens,
                                  .dpooled = scratch.dpooled,
                                  .dx = dtokens},
                                 pool);
  }
  if (!drops_prefix) return;
  kernels::InsertPrefix({.segments = segments,
                         .prefix_tokens = size_.prefix_tokens,
                         .dim = width,
                         .cu_seqlens = cu_seqlens.data(),
                         .x = dtokens,
                         .y = dx},
                        pool);
}

}  // namespace navit
