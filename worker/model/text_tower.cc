#include "worker/model/text_tower.h"

#include "kernels/embedding.h"

namespace navit {

TextTower::TextTower(const ParameterTable& table)
    : config_(table.config()),
      token_table_(table.Find("text.token_embed").offset),
      position_table_(table.Find("text.position").offset),
      tower_(table, "text", table.config().text) {}

TowerActivations TextTower::LayOut(const Batch& batch, Arena* arena) const {
  return tower_.LayOut(batch.text_tokens(), batch.examples(), arena);
}

TowerScratch TextTower::LayOutScratch(const Batch& batch, Arena* arena) const {
  return tower_.LayOutScratch(batch.text_tokens(), batch.examples(), arena);
}

void TextTower::Forward(const float* parameters, const Batch& batch, const TowerActivations& a,
                        kernels::ThreadPool& pool) const {
  kernels::EmbeddingForward({.tokens = batch.text_tokens(),
                             .segments = batch.examples(),
                             .dim = config_.text.width,
                             .vocabulary = config_.text_vocabulary,
                             .max_positions = config_.max_text_tokens,
                             .ids = batch.text.data(),
                             .cu_seqlens = batch.text_cu_seqlens.data(),
                             .token_table = parameters + token_table_,
                             .position_table = parameters + position_table_,
                             .y = a.tokens},
                            pool);
  tower_.Forward(parameters, batch.text_cu_seqlens, a, pool);
}

void TextTower::Backward(const float* parameters, float* gradients, const Batch& batch,
                         const TowerActivations& a, const float* dembeddings,
                         const TowerScratch& scratch, size_t learned_end, kernels::ThreadPool& pool,
                         const GradientProgress& progress) const {
  if (!tower_.Backward(parameters, gradients, batch.text_cu_seqlens, a, dembeddings, scratch,
                       learned_end, pool, progress)) {
    return;
  }
  kernels::EmbeddingBackward({.tokens = batch.text_tokens(),
                              .segments = batch.examples(),
                              .dim = config_.text.width,
                              .vocabulary = config_.text_vocabulary,
                              .max_positions = config_.max_text_tokens,
                              .ids = batch.text.data(),
                              .cu_seqlens = batch.text_cu_seqlens.data(),
                              .dy = scratch.dinput,
                              .dtoken_table = gradients + token_table_,
                              .dposition_table = gradients + position_table_},
                             pool);
}

}  // namespace navit
