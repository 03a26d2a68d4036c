// The transformer encoder that both towers share:
//   prefix tokens before each segment -> norm_pre -> blocks -> norm -> head
// of which prefix tokens and norm_pre may be absent, and the norm may come after the pooling, in
// the head.
#ifndef NAVIT_WORKER_MODEL_TOWER_H_
#define NAVIT_WORKER_MODEL_TOWER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "worker/model/arena.h"
#include "worker/model/block.h"
#include "worker/model/cpu_ops.h"
#include "worker/model/head.h"
#include "worker/model/norm.h"
#include "worker/model/parameters.h"

namespace navit {

// T tokens in S segments, none of them empty; U = T + S prefix_tokens. The forward pass starts from
// `tokens`, which the image or text part of the tower has filled, and ends in `embeddings()`.
template <typename Ops = CpuOps>
struct TowerActivations {
  typename Ops::Value* tokens = nullptr;  // [T, D]
  typename Ops::Value* joined = nullptr;  // [U, D] with the prefix; `tokens` itself without one
  NormActivations<Ops> norm_pre;
  std::vector<BlockActivations<Ops>> blocks;
  typename Ops::Value* last = nullptr;  // [U, D] output of the last block
  NormActivations<Ops> norm;            // of U rows
  HeadActivations<Ops> head;

  // [S, D] and [S, E], see head.h.
  const typename Ops::Value* features() const { return head.features; }
  const typename Ops::Value* embeddings() const { return head.embedding; }
};

// What a layout of activations has room for.
enum class Keep {
  // What the backward pass reads.
  kAll,
  // A forward pass alone, in which all blocks share the room of one.
  kOutputs,
};

template <typename Ops = CpuOps>
struct TowerScratch {
  typename Ops::Value* dx = nullptr;       // [U, D]
  typename Ops::Value* dtokens = nullptr;  // [U, D]
  typename Ops::Value* dinput = nullptr;   // [T, D]; dx itself without a prefix
  BlockScratch<Ops> block;
  HeadScratch<Ops> head;
};

template <typename Ops = CpuOps>
class Tower {
 public:
  using Value = typename Ops::Value;
  using Context = typename Ops::Context;
  using Segments = typename Ops::Segments;

  // `name` is "image" or "text".
  Tower(const ParameterTable& table, const std::string& name, const TowerConfig& size);

  const TowerConfig& size() const { return size_; }

  TowerActivations<Ops> LayOut(int64_t tokens, int64_t segments, Arena* arena, Keep keep) const;
  TowerScratch<Ops> LayOutScratch(int64_t tokens, int64_t segments, Arena* arena) const;

  void Forward(const float* parameters, Segments cu_seqlens,
               const TowerActivations<Ops>& activations, Context& context) const;

  // From `dembeddings` [S, E] to scratch.dinput, the gradient with respect to `tokens`; adds to
  // `gradients`. Calls `progress` after the head and from the blocks, if it is not empty. False:
  // the first `learned_end` floats of the gradient array, behind which nothing is learned, were
  // complete before the end, and the rest, scratch.dinput too, was left out.
  bool Backward(const float* parameters, float* gradients, Segments cu_seqlens,
                const TowerActivations<Ops>& activations, const Value* dembeddings,
                const TowerScratch<Ops>& scratch, size_t learned_end, Context& context,
                const GradientProgress& progress) const;

 private:
  TowerConfig size_;
  std::vector<Block<Ops>> blocks_;
  // Offset in the flat array.
  size_t prefix_ = 0;
  std::optional<Norm<Ops>> norm_pre_;
  // Before the head.
  std::optional<Norm<Ops>> norm_;
  Head<Ops> head_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_TOWER_H_
