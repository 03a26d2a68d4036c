// The text tower: token embedding + position table -> encoder (every token sees its whole caption).
#ifndef NAVIT_WORKER_MODEL_TEXT_TOWER_H_
#define NAVIT_WORKER_MODEL_TEXT_TOWER_H_

#include "kernels/thread_pool.h"
#include "worker/model/arena.h"
#include "worker/model/batch.h"
#include "worker/model/parameters.h"
#include "worker/model/tower.h"

namespace navit {

class TextTower {
 public:
  explicit TextTower(const ParameterTable& table);

  TowerActivations LayOut(const Batch& batch, Arena* arena) const;
  TowerScratch LayOutScratch(const Batch& batch, Arena* arena) const;

  // `batch` holds at least one example; embeddings are in activations.embeddings().
  void Forward(const float* parameters, const Batch& batch, const TowerActivations& activations,
               kernels::ThreadPool& pool) const;
  // Stops where nothing more is learned, see Tower::Backward.
  void Backward(const float* parameters, float* gradients, const Batch& batch,
                const TowerActivations& activations, const float* dembeddings,
                const TowerScratch& scratch, size_t learned_end, kernels::ThreadPool& pool,
                const GradientProgress& progress) const;

 private:
  ModelConfig config_;
  size_t token_table_, position_table_;
  Tower tower_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_TEXT_TOWER_H_
