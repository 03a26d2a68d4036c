// The image tower: patches -> linear embedding, position embedding -> encoder.
#ifndef NAVIT_WORKER_MODEL_IMAGE_TOWER_H_
#define NAVIT_WORKER_MODEL_IMAGE_TOWER_H_

#include "worker/model/arena.h"
#include "worker/model/batch.h"
#include "worker/model/cpu_ops.h"
#include "worker/model/parameters.h"
#include "worker/model/position_embedding.h"
#include "worker/model/tower.h"

namespace navit {

template <typename Ops = CpuOps>
struct ImageTowerActivations {
  typename Ops::Value* patches = nullptr;  // [T, patch_dim] normalised
  typename PositionEmbedding<Ops>::Activations position;
  TowerActivations<Ops> tower;
};

template <typename Ops = CpuOps>
class ImageTower {
 public:
  using Value = typename Ops::Value;
  using Context = typename Ops::Context;
  using Batch = typename Ops::Batch;

  explicit ImageTower(const ParameterTable& table);

  ImageTowerActivations<Ops> LayOut(const Batch& batch, Arena* arena, Keep keep = Keep::kAll) const;
  TowerScratch<Ops> LayOutScratch(const Batch& batch, Arena* arena) const;

  // `batch` holds at least one example; embeddings are in activations.tower.embeddings().
  void Forward(const float* parameters, const Batch& batch,
               const ImageTowerActivations<Ops>& activations, Context& context) const;
  // Stops where nothing more is learned, see Tower::Backward.
  void Backward(const float* parameters, float* gradients, const Batch& batch,
                const ImageTowerActivations<Ops>& activations, const Value* dembeddings,
                const TowerScratch<Ops>& scratch, size_t learned_end, Context& context,
                const GradientProgress& progress) const;

 private:
  ModelConfig config_;
  size_t patch_embed_, patch_embed_bias_;
  PositionEmbedding<Ops> position_;
  Tower<Ops> tower_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_IMAGE_TOWER_H_
