#include "worker/model/image_tower.h"

#include "kernels/linear.h"
#include "kernels/patch_normalize.h"

namespace navit {

ImageTower::ImageTower(const ParameterTable& table)
    : config_(table.config()),
      patch_embed_(table.Find("image.patch_embed.weight").offset),
      patch_embed_bias_(config_.patch_bias ? table.Find("image.patch_embed.bias").offset : 0),
      position_(table),
      tower_(table, "image", table.config().image) {}

ImageTowerActivations ImageTower::LayOut(const Batch& batch, Arena* arena) const {
  ImageTowerActivations a;
  a.patches = arena->Take(batch.image_tokens() * config_.patch_dim());
  a.position = position_.LayOut(batch.image_tokens(), batch.examples(), arena);
  a.tower = tower_.LayOut(batch.image_tokens(), batch.examples(), arena);
  for (BlockActivations& block : a.tower.blocks) block.rope = a.position.rope;
  return a;
}

TowerScratch ImageTower::LayOutScratch(const Batch& batch, Arena* arena) const {
  return tower_.LayOutScratch(batch.image_tokens(), batch.examples(), arena);
}

void ImageTower::Forward(const float* parameters, const Batch& batch,
                         const ImageTowerActivations& a, kernels::ThreadPool& pool) const {
  const int64_t tokens = batch.image_tokens();
  kernels::PatchNormalizeArgs normalize;
  normalize.tokens = tokens;
  normalize.patch_values = config_.patch_dim();
  normalize.x = reinterpret_cast<const uint8_t*>(batch.patches.data());
  for (int channel = 0; channel < 3; ++channel) {
    normalize.mean[channel] = config_.pixel_mean[channel];
    normalize.std[channel] = config_.pixel_std[channel];
  }
  normalize.y = a.patches;
  kernels::PatchNormalize(normalize, pool);
  kernels::LinearForward({.rows = tokens,
                          .in = config_.patch_dim(),
                          .out = config_.image.width,
                          .x = a.patches,
                          .weight = parameters + patch_embed_,
                          .bias = config_.patch_bias ? parameters + patch_embed_bias_ : nullptr,
                          .y = a.tower.tokens},
                         pool);
  position_.Forward(parameters, batch, a.position, a.tower.tokens, pool);
  tower_.Forward(parameters, batch.image_cu_seqlens, a.tower, pool);
}

void ImageTower::Backward(const float* parameters, float* gradients, const Batch& batch,
                          const ImageTowerActivations& a, const float* dembeddings,
                          const TowerScratch& scratch, size_t learned_end,
                          kernels::ThreadPool& pool, const GradientProgress& progress) const {
  const int64_t tokens = batch.image_tokens();
  if (!tower_.Backward(parameters, gradients, batch.image_cu_seqlens, a.tower, dembeddings, scratch,
                       learned_end, pool, progress)) {
    return;
  }
  position_.Backward(parameters, gradients, batch, a.position, scratch.dinput, pool);
  kernels::LinearBackwardWeight(
      {.rows = tokens,
       .in = config_.patch_dim(),
       .out = config_.image.width,
       .x = a.patches,
       .dy = scratch.dinput,
       .dweight = gradients + patch_embed_,
       .dbias = config_.patch_bias ? gradients + patch_embed_bias_ : nullptr},
      pool);
}

}  // namespace navit
