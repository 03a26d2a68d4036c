// The image tower: patches -> linear embedding, position embedding -> encoder.
#ifndef NAVIT_WORKER_MODEL_IMAGE_TOWER_H_
#define NAVIT_WORKER_MODEL_IMAGE_TOWER_H_

#include "kernels/thread_pool.h"
#include "worker/model/arena.h"
#include "worker/model/batch.h"
#include "worker/model/parameters.h"
#include "worker/model/position_embedding.h"
#include "worker/model/tower.h"

namespace navit {

struct ImageTowerActivations {
  float* patches = nullptr;  // [T, patch_dim] normalised
  PositionActivations position;
  TowerActivations tower;
};

class ImageTower {
 public:
  explicit ImageTower(const ParameterTable& table);

  ImageTowerActivations LayOut(const Batch& batch, Arena* arena) const;
  TowerScratch LayOutScratch(const Batch& batch, Arena* arena) const;

  // `batch` holds at least one example; embeddings are in activations.tower.embeddings().
  void Forward(const float* parameters, const Batch& batch,
               const ImageTowerActivations& activations, kernels::ThreadPool& pool) const;
  // Stops where nothing more is learned, see Tower::Backward.
  void Backward(const float* parameters, float* gradients, const Batch& batch,
                const ImageTowerActivations& activations, const float* dembeddings,
                const TowerScratch& scratch, size_t learned_end, kernels::ThreadPool& pool,
                const GradientProgress& progress) const;

 private:
  ModelConfig config_;
  size_t patch_embed_, patch_embed_bias_;
  PositionEmbedding position_;
  Tower tower_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_IMAGE_TOWER_H_
