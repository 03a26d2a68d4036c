// Definitions of text_tower.h, for the files that instantiate it.
#ifndef NAVIT_WORKER_MODEL_TEXT_TOWER_INL_H_
#define NAVIT_WORKER_MODEL_TEXT_TOWER_INL_H_

#include "worker/model/text_tower.h"

namespace navit {

template <typename Ops>
TextTower<Ops>::TextTower(const ParameterTable& table)
    : config_(table.config()),
      token_table_(table.Find("text.token_embed").offset),
      position_table_(table.Find("text.position").offset),
      tower_(table, "text", table.config().text) {}

template <typename Ops>
TowerActivations<Ops> TextTower<Ops>::LayOut(const Batch& batch, Arena* arena, Keep keep) const {
  return tower_.LayOut(batch.text_tokens(), batch.examples(), arena, keep);
}

template <typename Ops>
TowerScratch<Ops> TextTower<Ops>::LayOutScratch(const Batch& batch, Arena* arena) const {
  return tower_.LayOutScratch(batch.text_tokens(), batch.examples(), arena);
}

template <typename Ops>
void TextTower<Ops>::Forward(const float* parameters, const Batch& batch,
                             const TowerActivations<Ops>& a, Context& context) const {
  Ops::EmbeddingForward({.tokens = batch.text_tokens(),
                         .segments = batch.examples(),
                         .dim = config_.text.width,
                         .vocabulary = config_.text_vocabulary,
                         .max_positions = config_.max_text_tokens,
                         .ids = batch.text.data(),
                         .cu_seqlens = batch.text_cu_seqlens.data(),
                         .token_table = parameters + token_table_,
                         .position_table = parameters + position_table_,
                         .y = a.tokens},
                        context);
  tower_.Forward(parameters, batch.text_cu_seqlens, a, context);
}

template <typename Ops>
void TextTower<Ops>::Backward(const float* parameters, float* gradients, const Batch& batch,
                              const TowerActivations<Ops>& a, const Value* dembeddings,
                              const TowerScratch<Ops>& scratch, size_t learned_end,
                              Context& context, const GradientProgress& progress) const {
  if (!tower_.Backward(parameters, gradients, batch.text_cu_seqlens, a, dembeddings, scratch,
                       learned_end, context, progress)) {
    return;
  }
  Ops::EmbeddingBackward({.tokens = batch.text_tokens(),
                          .segments = batch.examples(),
                          .dim = config_.text.width,
                          .vocabulary = config_.text_vocabulary,
                          .max_positions = config_.max_text_tokens,
                          .ids = batch.text.data(),
                          .cu_seqlens = batch.text_cu_seqlens.data(),
                          .dy = scratch.dinput,
                          .dtoken_table = gradients + token_table_,
                          .dposition_table = gradients + position_table_},
                         context);
}

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_TEXT_TOWER_INL_H_
