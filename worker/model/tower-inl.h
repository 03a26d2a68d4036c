// Definitions of tower.h, for the files that instantiate it.
#ifndef NAVIT_WORKER_MODEL_TOWER_INL_H_
#define NAVIT_WORKER_MODEL_TOWER_INL_H_

#include "absl/strings/str_cat.h"
#include "worker/model/tower.h"

namespace navit {

template <typename Ops>
Tower<Ops>::Tower(const ParameterTable& table, const std::string& name, const TowerConfig& size)
    : size_(size), head_(table, name, size) {
  for (int64_t layer = 0; layer < size.depth; ++layer) {
    blocks_.emplace_back(table, absl::StrCat(name, ".blocks.", layer), size);
  }
  if (size.prefix_tokens > 0) prefix_ = table.Find(name + ".prefix").offset;
  if (size.norm_pre) norm_pre_.emplace(table, name + ".norm_pre", size);
  if (!size.norm_after_pooling) norm_.emplace(table, name + ".norm", size);
}

template <typename Ops>
TowerActivations<Ops> Tower<Ops>::LayOut(int64_t tokens, int64_t segments, Arena* arena,
                                         Keep keep) const {
  const int64_t all = tokens + segments * size_.prefix_tokens;
  TowerActivations<Ops> a;
  for (const Block<Ops>& block : blocks_) {
    const bool shares = keep == Keep::kOutputs && !a.blocks.empty();
    a.blocks.push_back(shares ? a.blocks.front() : block.LayOut(all, arena));
  }
  a.last = arena->Take<Value>(all * size_.width);
  if (norm_.has_value()) a.norm = norm_->LayOut(all, arena);
  a.head = head_.LayOut(tokens, segments, arena);
  a.joined = a.blocks.front().x;
  if (norm_pre_.has_value()) {
    a.joined = arena->Take<Value>(all * size_.width);
    a.norm_pre = norm_pre_->LayOut(all, a.blocks.front().x, arena);
  }
  a.tokens = size_.prefix_tokens > 0 ? arena->Take<Value>(tokens * size_.width) : a.joined;
  return a;
}

template <typename Ops>
TowerScratch<Ops> Tower<Ops>::LayOutScratch(int64_t tokens, int64_t segments, Arena* arena) const {
  const int64_t all = tokens + segments * size_.prefix_tokens;
  TowerScratch<Ops> scratch;
  scratch.dx = arena->Take<Value>(all * size_.width);
  scratch.dtokens = arena->Take<Value>(all * size_.width);
  scratch.block = blocks_.front().LayOutScratch(all, arena);
  scratch.head = head_.LayOutScratch(tokens, segments, arena);
  scratch.dinput = size_.prefix_tokens > 0 ? arena->Take<Value>(tokens * size_.width) : scratch.dx;
  return scratch;
}

template <typename Ops>
void Tower<Ops>::Forward(const float* parameters, Segments cu_seqlens,
                         const TowerActivations<Ops>& a, Context& context) const {
  const typename Ops::Prefixed prefixed(cu_seqlens, size_.prefix_tokens);
  const Segments with_prefix = prefixed;
  const int64_t all = with_prefix.back();
  if (size_.prefix_tokens > 0) {
    Ops::InsertPrefix({.segments = static_cast<int64_t>(cu_seqlens.size()) - 1,
                       .prefix_tokens = size_.prefix_tokens,
                       .dim = size_.width,
                       .cu_seqlens = cu_seqlens.data(),
                       .x = a.tokens,
                       .prefix = parameters + prefix_,
                       .y = a.joined},
                      context);
  }
  if (norm_pre_.has_value()) norm_pre_->Forward(parameters, all, a.joined, a.norm_pre, context);
  for (size_t layer = 0; layer < blocks_.size(); ++layer) {
    Value* out = layer + 1 < blocks_.size() ? a.blocks[layer + 1].x : a.last;
    blocks_[layer].Forward(parameters, with_prefix, a.blocks[layer], out, context);
  }
  if (norm_.has_value()) norm_->Forward(parameters, all, a.last, a.norm, context);
  head_.Forward(parameters, cu_seqlens, with_prefix, norm_.has_value() ? a.norm.y : a.last, a.head,
                context);
}

template <typename Ops>
bool Tower<Ops>::Backward(const float* parameters, float* gradients, Segments cu_seqlens,
                          const TowerActivations<Ops>& a, const Value* dembeddings,
                          const TowerScratch<Ops>& scratch, size_t learned_end, Context& context,
                          const GradientProgress& progress) const {
  const typename Ops::Prefixed prefixed(cu_seqlens, size_.prefix_tokens);
  const Segments with_prefix = prefixed;
  const int64_t all = with_prefix.back();
  const bool normed = norm_.has_value();
  head_.Backward(parameters, gradients, cu_seqlens, with_prefix, normed ? a.norm.y : a.last, a.head,
                 dembeddings, scratch.head, normed ? scratch.dtokens : scratch.dx, context);
  if (progress) progress(head_.end());
  if (learned_end <= head_.end()) return false;
  if (normed) {
    norm_->Backward(parameters, gradients, all, a.last, a.norm, scratch.dtokens, scratch.dx,
                    /*accumulate=*/false, context);
  }
  for (size_t layer = blocks_.size(); layer-- > 0;) {
    blocks_[layer].Backward(parameters, gradients, with_prefix, a.blocks[layer], scratch.block,
                            scratch.dx, context, progress);
    if (learned_end <= blocks_[layer].end()) return false;
  }
  if (norm_pre_.has_value()) {
    norm_pre_->Backward(parameters, gradients, all, a.joined, a.norm_pre, scratch.dx, scratch.dx,
                        /*accumulate=*/false, context);
  }
  if (size_.prefix_tokens == 0) return true;
  Ops::RemovePrefix({.segments = static_cast<int64_t>(cu_seqlens.size()) - 1,
                     .prefix_tokens = size_.prefix_tokens,
                     .dim = size_.width,
                     .cu_seqlens = cu_seqlens.data(),
                     .y = scratch.dx,
                     .x = scratch.dinput,
                     .dprefix = gradients + prefix_},
                    context);
  return true;
}

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_TOWER_INL_H_
