#include "worker/model/tower.h"

#include "absl/strings/str_cat.h"
#include "kernels/rms_norm.h"

namespace navit {

Tower::Tower(const ParameterTable& table, const std::string& name, const TowerConfig& size)
    : size_(size), norm_(table.Find(name + ".norm.gain").offset), head_(table, name, size) {
  for (int64_t layer = 0; layer < size.depth; ++layer) {
    blocks_.emplace_back(table, absl::StrCat(name, ".blocks.", layer), size);
  }
}

TowerActivations Tower::LayOut(int64_t tokens, int64_t segments, Arena* arena) const {
  TowerActivations a;
  for (const Block& block : blocks_) a.blocks.push_back(block.LayOut(tokens, arena));
  a.last = arena->Take(tokens * size_.width);
  a.norm = arena->Take(tokens * size_.width);
  a.norm_inv_rms = arena->Take(tokens);
  a.head = head_.LayOut(tokens, segments, arena);
  return a;
}

TowerScratch Tower::LayOutScratch(int64_t tokens, int64_t segments, Arena* arena) const {
  TowerScratch scratch;
  scratch.dx = arena->Take(tokens * size_.width);
  scratch.dtokens = arena->Take(tokens * size_.width);
  scratch.block = blocks_.front().LayOutScratch(tokens, arena);
  scratch.head = head_.LayOutScratch(tokens, segments, arena);
  return scratch;
}

void Tower::Forward(const float* parameters, absl::Span<const int32_t> cu_seqlens,
                    const TowerActivations& a, kernels::ThreadPool& pool) const {
  for (size_t layer = 0; layer < blocks_.size(); ++layer) {
    float* out = layer + 1 < blocks_.size() ? a.blocks[layer + 1].x : a.last;
    blocks_[layer].Forward(parameters, cu_seqlens, a.blocks[layer], out, pool);
  }
  kernels::RmsNormForward({.rows = cu_seqlens.back(),
                           .dim = size_.width,
                           .eps = size_.eps,
                           .x = a.last,
                           .gain = parameters + norm_,
                           .y = a.norm,
                           .inv_rms = a.norm_inv_rms},
                          pool);
  head_.Forward(parameters, cu_seqlens, a.norm, a.head, pool);
}

void Tower::Backward(const float* parameters, float* gradients,
                     absl::Span<const int32_t> cu_seqlens, const TowerActivations& a,
                     const float* dembeddings, const TowerScratch& scratch,
                     kernels::ThreadPool& pool, const GradientProgress& progress) const {
  head_.Backward(parameters, gradients, cu_seqlens, a.norm, a.head, dembeddings, scratch.head,
                 scratch.dtokens, pool);
  if (progress) progress(head_.end());
  kernels::RmsNormBackward({.rows = cu_seqlens.back(),
                            .dim = size_.width,
                            .x = a.last,
                            .gain = parameters + norm_,
                            .inv_rms = a.norm_inv_rms,
                            .dy = scratch.dtokens,
                            .dx = scratch.dx,
                            .dgain = gradients + norm_},
                           pool);
  for (size_t layer = blocks_.size(); layer-- > 0;) {
    blocks_[layer].Backward(parameters, gradients, cu_seqlens, a.blocks[layer], scratch.block,
                            scratch.dx, pool);
    if (progress) progress(blocks_[layer].end());
  }
}

}  // namespace navit
