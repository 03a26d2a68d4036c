// Definitions of image_tower.h, for the files that instantiate it.
#ifndef NAVIT_WORKER_MODEL_IMAGE_TOWER_INL_H_
#define NAVIT_WORKER_MODEL_IMAGE_TOWER_INL_H_

#include "worker/model/image_tower.h"

namespace navit {

template <typename Ops>
ImageTower<Ops>::ImageTower(const ParameterTable& table)
    : config_(table.config()),
      patch_embed_(table.Find("image.patch_embed.weight").offset),
      patch_embed_bias_(config_.patch_bias ? table.Find("image.patch_embed.bias").offset : 0),
      position_(table),
      tower_(table, "image", table.config().image) {}

template <typename Ops>
ImageTowerActivations<Ops> ImageTower<Ops>::LayOut(const Batch& batch, Arena* arena,
                                                   Keep keep) const {
  ImageTowerActivations<Ops> a;
  a.patches = arena->Take<Value>(batch.image_tokens() * config_.patch_dim());
  a.position = position_.LayOut(batch, arena);
  a.tower = tower_.LayOut(batch.image_tokens(), batch.examples(), arena, keep);
  for (BlockActivations<Ops>& block : a.tower.blocks) block.rope = a.position.rope;
  return a;
}

template <typename Ops>
TowerScratch<Ops> ImageTower<Ops>::LayOutScratch(const Batch& batch, Arena* arena) const {
  return tower_.LayOutScratch(batch.image_tokens(), batch.examples(), arena);
}

template <typename Ops>
void ImageTower<Ops>::Forward(const float* parameters, const Batch& batch,
                              const ImageTowerActivations<Ops>& a, Context& context) const {
  const int64_t tokens = batch.image_tokens();
  typename Ops::PatchNormalizeArgs normalize;
  normalize.tokens = tokens;
  normalize.patch_values = config_.patch_dim();
  normalize.x = Ops::Patches(batch);
  for (int channel = 0; channel < 3; ++channel) {
    normalize.mean[channel] = config_.pixel_mean[channel];
    normalize.std[channel] = config_.pixel_std[channel];
  }
  normalize.y = a.patches;
  Ops::PatchNormalize(normalize, context);
  Ops::LinearForward({.rows = tokens,
                      .in = config_.patch_dim(),
                      .out = config_.image.width,
                      .x = a.patches,
                      .weight = parameters + patch_embed_,
                      .bias = config_.patch_bias ? parameters + patch_embed_bias_ : nullptr,
                      .y = a.tower.tokens},
                     context);
  position_.Forward(parameters, batch, a.position, a.tower.tokens, context);
  tower_.Forward(parameters, batch.image_cu_seqlens, a.tower, context);
}

template <typename Ops>
void ImageTower<Ops>::Backward(const float* parameters, float* gradients, const Batch& batch,
                               const ImageTowerActivations<Ops>& a, const Value* dembeddings,
                               const TowerScratch<Ops>& scratch, size_t learned_end,
                               Context& context, const GradientProgress& progress) const {
  const int64_t tokens = batch.image_tokens();
  if (!tower_.Backward(parameters, gradients, batch.image_cu_seqlens, a.tower, dembeddings, scratch,
                       learned_end, context, progress)) {
    return;
  }
  position_.Backward(parameters, gradients, batch, a.position, scratch.dinput, context);
  Ops::LinearBackwardWeight({.rows = tokens,
                             .in = config_.patch_dim(),
                             .out = config_.image.width,
                             .x = a.patches,
                             .dy = scratch.dinput,
                             .dweight = gradients + patch_embed_,
                             .dbias = config_.patch_bias ? gradients + patch_embed_bias_ : nullptr},
                            context);
}

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_IMAGE_TOWER_INL_H_
