#include "worker/model/tower.h"

#include "absl/strings/str_cat.h"
#include "kernels/prefix_tokens.h"

namespace navit {

std::vector<int32_t> WithPrefix(absl::Span<const int32_t> cu_seqlens, int64_t prefix_tokens) {
  std::vector<int32_t> longer(cu_seqlens.begin(), cu_seqlens.end());
  for (size_t s = 0; s < longer.size(); ++s) longer[s] += static_cast<int32_t>(s * prefix_tokens);
  return longer;
}

Tower::Tower(const ParameterTable& table, const std::string& name, const TowerConfig& size)
    : size_(size), head_(table, name, size) {
  for (int64_t layer = 0; layer < size.depth; ++layer) {
    blocks_.emplace_back(table, absl::StrCat(name, ".blocks.", layer), size);
  }
  if (size.prefix_tokens > 0) prefix_ = table.Find(name + ".prefix").offset;
  if (size.norm_pre) norm_pre_.emplace(table, name + ".norm_pre", size);
  if (!size.norm_after_pooling) norm_.emplace(table, name + ".norm", size);
}

TowerActivations Tower::LayOut(int64_t tokens, int64_t segments, Arena* arena) const {
  const int64_t all = tokens + segments * size_.prefix_tokens;
  TowerActivations a;
  for (const Block& block : blocks_) a.blocks.push_back(block.LayOut(all, arena));
  a.last = arena->Take(all * size_.width);
  if (norm_.has_value()) a.norm = norm_->LayOut(all, arena);
  a.head = head_.LayOut(tokens, segments, arena);
  a.joined = a.blocks.front().x;
  if (norm_pre_.has_value()) {
    a.joined = arena->Take(all * size_.width);
    a.norm_pre = norm_pre_->LayOut(all, a.blocks.front().x, arena);
  }
  a.tokens = size_.prefix_tokens > 0 ? arena->Take(tokens * size_.width) : a.joined;
  return a;
}

TowerScratch Tower::LayOutScratch(int64_t tokens, int64_t segments, Arena* arena) const {
  const int64_t all = tokens + segments * size_.prefix_tokens;
  TowerScratch scratch;
  scratch.dx = arena->Take(all * size_.width);
  scratch.dtokens = arena->Take(all * size_.width);
  scratch.block = blocks_.front().LayOutScratch(all, arena);
  scratch.head = head_.LayOutScratch(tokens, segments, arena);
  scratch.dinput = size_.prefix_tokens > 0 ? arena->Take(tokens * size_.width) : scratch.dx;
  return scratch;
}

void Tower::Forward(const float* parameters, absl::Span<const int32_t> cu_seqlens,
                    const TowerActivations& a, kernels::ThreadPool& pool) const {
  const std::vector<int32_t> with_prefix = WithPrefix(cu_seqlens, size_.prefix_tokens);
  const int64_t all = with_prefix.back();
  if (size_.prefix_tokens > 0) {
    kernels::InsertPrefix({.segments = static_cast<int64_t>(cu_seqlens.size()) - 1,
                           .prefix_tokens = size_.prefix_tokens,
                           .dim = size_.width,
                           .cu_seqlens = cu_seqlens.data(),
                           .x = a.tokens,
                           .prefix = parameters + prefix_,
                           .y = a.joined},
                          pool);
  }
  if (norm_pre_.has_value()) norm_pre_->Forward(parameters, all, a.joined, a.norm_pre, pool);
  for (size_t layer = 0; layer < blocks_.size(); ++layer) {
    float* out = layer + 1 < blocks_.size() ? a.blocks[layer + 1].x : a.last;
    blocks_[layer].Forward(parameters, with_prefix, a.blocks[layer], out, pool);
  }
  if (norm_.has_value()) norm_->Forward(parameters, all, a.last, a.norm, pool);
  head_.Forward(parameters, cu_seqlens, with_prefix, norm_.has_value() ? a.norm.y : a.last, a.head,
                pool);
}

bool Tower::Backward(const float* parameters, float* gradients,
                     absl::Span<const int32_t> cu_seqlens, const TowerActivations& a,
                     const float* dembeddings, const TowerScratch& scratch, size_t learned_end,
                     kernels::ThreadPool& pool, const GradientProgress& progress) const {
  const std::vector<int32_t> with_prefix = WithPrefix(cu_seqlens, size_.prefix_tokens);
  const int64_t all = with_prefix.back();
  const bool normed = norm_.has_value();
  head_.Backward(parameters, gradients, cu_seqlens, with_prefix, normed ? a.norm.y : a.last, a.head,
                 dembeddings, scratch.head, normed ? scratch.dtokens : scratch.dx, pool);
  if (progress) progress(head_.end());
  if (learned_end <= head_.end()) return false;
  if (normed) {
    norm_->Backward(parameters, gradients, all, a.last, a.norm, scratch.dtokens, scratch.dx,
                    /*accumulate=*/false, pool);
  }
  for (size_t layer = blocks_.size(); layer-- > 0;) {
    blocks_[layer].Backward(parameters, gradients, with_prefix, a.blocks[layer], scratch.block,
                            scratch.dx, pool);
    if (progress) progress(blocks_[layer].end());
    if (learned_end <= blocks_[layer].end()) return false;
  }
  if (norm_pre_.has_value()) {
    norm_pre_->Backward(parameters, gradients, all, a.joined, a.norm_pre, scratch.dx, scratch.dx,
                        /*accumulate=*/false, pool);
  }
  if (size_.prefix_tokens == 0) return true;
  kernels::RemovePrefix({.segments = static_cast<int64_t>(cu_seqlens.size()) - 1,
                         .prefix_tokens = size_.prefix_tokens,
                         .dim = size_.width,
                         .cu_seqlens = cu_seqlens.data(),
                         .y = scratch.dx,
                         .x = scratch.dinput,
                         .dprefix = gradients + prefix_},
                        pool);
  return true;
}

}  // namespace navit
