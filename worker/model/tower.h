// The transformer encoder that both towers share:
//   prefix tokens before each segment -> norm_pre -> blocks -> norm -> head
// of which prefix tokens and norm_pre may be absent, and the norm may come after the pooling, in
// the head.
#ifndef NAVIT_WORKER_MODEL_TOWER_H_
#define NAVIT_WORKER_MODEL_TOWER_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "kernels/thread_pool.h"
#include "worker/model/arena.h"
#include "worker/model/block.h"
#include "worker/model/head.h"
#include "worker/model/norm.h"
#include "worker/model/parameters.h"

namespace navit {

// T tokens in S segments, none of them empty; U = T + S prefix_tokens. The forward pass starts from
// `tokens`, which the image or text part of the tower has filled, and ends in `embeddings()`.
struct TowerActivations {
  float* tokens = nullptr;  // [T, D]
  float* joined = nullptr;  // [U, D] with the prefix; `tokens` itself without one
  NormActivations norm_pre;
  std::vector<BlockActivations> blocks;
  float* last = nullptr;  // [U, D] output of the last block
  NormActivations norm;   // of U rows
  HeadActivations head;

  // [S, D] and [S, E], see head.h.
  const float* features() const { return head.features; }
  const float* embeddings() const { return head.embedding; }
};

struct TowerScratch {
  float* dx = nullptr;       // [U, D]
  float* dtokens = nullptr;  // [U, D]
  float* dinput = nullptr;   // [T, D]; dx itself without a prefix
  BlockScratch block;
  HeadScratch head;
};

// Cumulative lengths of segments that have `prefix_tokens` more tokens each.
std::vector<int32_t> WithPrefix(absl::Span<const int32_t> cu_seqlens, int64_t prefix_tokens);

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

  // From `dembeddings` [S, E] to scratch.dinput, the gradient with respect to `tokens`; adds to
  // `gradients`. Calls `progress` after the head and after each block, if it is not empty. False:
  // the first `learned_end` floats of the gradient array, behind which nothing is learned, were
  // complete before the end, and the rest, scratch.dinput too, was left out.
  bool Backward(const float* parameters, float* gradients, absl::Span<const int32_t> cu_seqlens,
                const TowerActivations& activations, const float* dembeddings,
                const TowerScratch& scratch, size_t learned_end, kernels::ThreadPool& pool,
                const GradientProgress& progress) const;

 private:
  TowerConfig size_;
  std::vector<Block> blocks_;
  // Offset in the flat array.
  size_t prefix_ = 0;
  std::optional<Norm> norm_pre_;
  // Before the head.
  std::optional<Norm> norm_;
  Head head_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_TOWER_H_
