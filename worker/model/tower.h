// The transformer encoder that both towers share: blocks, final norm, MAP head.
#ifndef NAVIT_WORKER_MODEL_TOWER_H_
#define NAVIT_WORKER_MODEL_TOWER_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "kernels/thread_pool.h"
#include "worker/model/arena.h"
#include "worker/model/block.h"
#include "worker/model/map_head.h"
#include "worker/model/parameters.h"

namespace navit {

// T tokens in S segments, none of them empty. The forward pass starts from `tokens()`, which the
// image or text part of the tower has filled, and ends in `embeddings()`.
struct TowerActivations {
  std::vector<BlockActivations> blocks;
  float* last = nullptr;          // [T, D] output of the last block
  float* norm = nullptr;          // [T, D]
  float* norm_inv_rms = nullptr;  // [T]
  MapHeadActivations head;

  float* tokens() const { return blocks.front().x; }
  const float* embeddings() const { return head.embedding; }
};

struct TowerScratch {
  float* dx = nullptr;       // [T, D]
  float* dtokens = nullptr;  // [T, D]
  BlockScratch block;
  MapHeadScratch head;
};

// Called with N when the first N floats of the gradient array are complete.
using GradientProgress = std::function<void(size_t complete)>;

class Tower {
 public:
  // `name` is "image" or "text".
  Tower(const ParameterTable& table, const std::string& name, const TowerConfig& size);

  const TowerConfig& size() const { return size_; }

  TowerActivations LayOut(int64_t tokens, int64_t segments, Arena* arena) const;
  TowerScratch LayOutScratch(int64_t tokens, int64_t segments, Arena* arena) const;

  void Forward(const float* parameters, absl::Span<const int32_t> cu_seqlens,
               const TowerActivations& activations, kernels::ThreadPool& pool) const;

  // From `dembeddings` [S, E] to scratch.dx, the gradient with respect to tokens(); adds to
  // `gradients`. Calls `progress` after the head and after each block, if it is not empty.
  void Backward(const float* parameters, float* gradients, absl::Span<const int32_t> cu_seqlens,
                const TowerActivations& activations, const float* dembeddings,
                const TowerScratch& scratch, kernels::ThreadPool& pool,
                const GradientProgress& progress) const;

 private:
  TowerConfig size_;
  std::vector<Block> blocks_;
  size_t norm_;
  MapHead head_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_TOWER_H_
