// From tokens to one vector per segment: pooling, the final norm where it comes after the pooling,
// then the projection to the common width and unit length, or the classifier.
//   map              attention pooling (map_pool.h)
//   mean, max        over the tokens, per channel
//   token            the first prefix token (image), the last token (text)
//   features         the pooled vector, normed with norm_after_pooling
//   embedding        projection(features) / max(|projection(features)|, 1e-6)
//   logits           classifier(features) in its place
// Prefix tokens are pooled by `token` alone.
#ifndef NAVIT_WORKER_MODEL_HEAD_H_
#define NAVIT_WORKER_MODEL_HEAD_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/types/span.h"
#include "worker/model/arena.h"
#include "worker/model/cpu_ops.h"
#include "worker/model/map_pool.h"
#include "worker/model/norm.h"
#include "worker/model/parameters.h"

namespace navit {

// S segments, none of them empty, of T tokens and P prefix tokens each; D width, E embedding_dim or
// classes.
template <typename Ops = CpuOps>
struct HeadActivations {
  typename Ops::Value* tokens =
      nullptr;  // [T, D] those that are pooled; null: all, there is no prefix
  MapPoolActivations<Ops> map;
  typename Ops::Value* pooled = nullptr;     // [S, D]
  NormActivations<Ops> norm;                 // of S rows
  typename Ops::Value* features = nullptr;   // [S, D]
  typename Ops::Value* embedding = nullptr;  // [S, E] of unit length, or logits
  float* inv_norm = nullptr;                 // [S] with a projection
};

template <typename Ops = CpuOps>
struct HeadScratch {
  typename Ops::Value* dembedding = nullptr;  // [S, E]
  typename Ops::Value* dpooled = nullptr;     // [S, D]
  typename Ops::Value* dtokens = nullptr;     // [T, D] with a prefix
  MapPoolScratch<Ops> map;
};

template <typename Ops = CpuOps>
class Head {
 public:
  using Value = typename Ops::Value;
  using Context = typename Ops::Context;
  using Segments = typename Ops::Segments;

  // `tower` is "image" or "text".
  Head(const ParameterTable& table, const std::string& tower, const TowerConfig& size);

  HeadActivations<Ops> LayOut(int64_t tokens, int64_t segments, Arena* arena) const;
  HeadScratch<Ops> LayOutScratch(int64_t tokens, int64_t segments, Arena* arena) const;

  // From x [T + S P, D] to activations.features and .embedding. cu_seqlens [S + 1] counts tokens
  // without, `with_prefix` those with the prefix.
  void Forward(const float* parameters, Segments cu_seqlens, Segments with_prefix, const Value* x,
               const HeadActivations<Ops>& activations, Context& context) const;

  // `dembedding` [S, E] is the gradient with respect to the embeddings or logits; assigns dx
  // [T + S P, D] and adds to `gradients`.
  void Backward(const float* parameters, float* gradients, Segments cu_seqlens,
                Segments with_prefix, const Value* x, const HeadActivations<Ops>& activations,
                const Value* dembedding, const HeadScratch<Ops>& scratch, Value* dx,
                Context& context) const;

  // End of the head's parameters in the flat array.
  size_t end() const { return end_; }

 private:
  // What the pooling reads besides a prefix.
  bool DropsPrefix() const {
    return size_.prefix_tokens > 0 && size_.pooling != v1::ImageTowerSpec::TOKEN;
  }

  TowerConfig size_;
  // E.
  int64_t outputs_;
  bool classifier_;
  // Offsets in the flat array; a projection has no bias.
  size_t weight_;
  size_t bias_ = 0;
  std::optional<Norm<Ops>> norm_;
  std::optional<MapPool<Ops>> map_;
  size_t end_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_HEAD_H_
