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
#include "kernels/thread_pool.h"
#include "worker/model/arena.h"
#include "worker/model/map_pool.h"
#include "worker/model/norm.h"
#include "worker/model/parameters.h"

namespace navit {

// S segments, none of them empty, of T tokens and P prefix tokens each; D width, E embedding_dim or
// classes.
struct HeadActivations {
  float* tokens = nullptr;  // [T, D] those that are pooled; null: all, there is no prefix
  MapPoolActivations map;
  float* pooled = nullptr;     // [S, D]
  NormActivations norm;        // of S rows
  float* features = nullptr;   // [S, D]
  float* embedding = nullptr;  // [S, E] of unit length, or logits
  float* inv_norm = nullptr;   // [S] with a projection
};

struct HeadScratch {
  float* dembedding = nullptr;  // [S, E]
  float* dpooled = nullptr;     // [S, D]
  float* dtokens = nullptr;     // [T, D] with a prefix
  MapPoolScratch map;
};

class Head {
 public:
  // `tower` is "image" or "text".
  Head(const ParameterTable& table, const std::string& tower, const TowerConfig& size);

  HeadActivations LayOut(int64_t tokens, int64_t segments, Arena* arena) const;
  HeadScratch LayOutScratch(int64_t tokens, int64_t segments, Arena* arena) const;

  // From x [T + S P, D] to activations.features and .embedding. cu_seqlens [S + 1] counts tokens
  // without, `with_prefix` those with the prefix.
  void Forward(const float* parameters, absl::Span<const int32_t> cu_seqlens,
               absl::Span<const int32_t> with_prefix, const float* x,
               const HeadActivations& activations, kernels::ThreadPool& pool) const;

  // `dembedding` [S, E] is the gradient with respect to the embeddings or logits; assigns dx
  // [T + S P, D] and adds to `gradients`.
  void Backward(const float* parameters, float* gradients, absl::Span<const int32_t> cu_seqlens,
                absl::Span<const int32_t> with_prefix, const float* x,
                const HeadActivations& activations, const float* dembedding,
                const HeadScratch& scratch, float* dx, kernels::ThreadPool& pool) const;

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
  std::optional<Norm> norm_;
  std::optional<MapPool> map_;
  size_t end_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_HEAD_H_
