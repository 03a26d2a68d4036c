// The text tower: token embedding + position table -> encoder (every token sees its whole caption).
#ifndef NAVIT_WORKER_MODEL_TEXT_TOWER_H_
#define NAVIT_WORKER_MODEL_TEXT_TOWER_H_

#include "worker/model/arena.h"
#include "worker/model/batch.h"
#include "worker/model/cpu_ops.h"
#include "worker/model/parameters.h"
#include "worker/model/tower.h"

namespace navit {

template <typename Ops = CpuOps>
class TextTower {
 public:
  using Value = typename Ops::Value;
  using Context = typename Ops::Context;
  using Batch = typename Ops::Batch;

  explicit TextTower(const ParameterTable& table);

  TowerActivations<Ops> LayOut(const Batch& batch, Arena* arena, Keep keep = Keep::kAll) const;
  TowerScratch<Ops> LayOutScratch(const Batch& batch, Arena* arena) const;

  // `batch` holds at least one example; embeddings are in activations.embeddings().
  void Forward(const float* parameters, const Batch& batch,
               const TowerActivations<Ops>& activations, Context& context) const;
  // Stops where nothing more is learned, see Tower::Backward.
  void Backward(const float* parameters, float* gradients, const Batch& batch,
                const TowerActivations<Ops>& activations, const Value* dembeddings,
                const TowerScratch<Ops>& scratch, size_t learned_end, Context& context,
                const GradientProgress& progress) const;

 private:
  ModelConfig config_;
  size_t token_table_, position_table_;
  Tower<Ops> tower_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_TEXT_TOWER_H_
