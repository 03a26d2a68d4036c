// From tokens to one embedding per segment: attention pooling with one learned probe (MAP) and an
// MLP, or the mean or maximum; then the projection to the common width, and unit length.
//   MAP   y = proj(attention(q(probe), kv(tokens)));  z = y + fc2(gelu(fc1(norm(y))))
//   mean, max   z is the tokens' mean, their maximum per channel
//   embedding = projection(z) / max(|projection(z)|, 1e-6)
#ifndef NAVIT_WORKER_MODEL_MAP_HEAD_H_
#define NAVIT_WORKER_MODEL_MAP_HEAD_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/types/span.h"
#include "kernels/thread_pool.h"
#include "worker/model/arena.h"
#include "worker/model/parameters.h"

namespace navit {

// T tokens in S segments, none of them empty; D width, M MLP width, H heads, E embedding_dim.
struct MapHeadActivations {
  float* query = nullptr;         // [D]
  float* kv = nullptr;            // [T, 2, D]
  float* pooled = nullptr;        // [S, D]
  float* lse = nullptr;           // [S, H]
  float* y = nullptr;             // [S, D]
  float* norm = nullptr;          // [S, D]
  float* norm_inv_rms = nullptr;  // [S]
  float* hidden = nullptr;        // [S, M]
  float* active = nullptr;        // [S, M]
  float* z = nullptr;             // [S, D]
  float* embedding = nullptr;     // [S, E] of unit length
  float* inv_norm = nullptr;      // [S]
};

struct MapHeadScratch {
  float* dembedding = nullptr;  // [S, E]
  float* dz = nullptr;          // [S, D]
  float* drow = nullptr;        // [S, D]
  float* dhidden = nullptr;     // [S, M]
  float* dkv = nullptr;         // [T, 2, D]
  float* dquery = nullptr;      // [D]
};

class MapHead {
 public:
  // `tower` is "image" or "text".
  MapHead(const ParameterTable& table, const std::string& tower, const TowerConfig& size);

  MapHeadActivations LayOut(int64_t tokens, int64_t segments, Arena* arena) const;
  MapHeadScratch LayOutScratch(int64_t tokens, int64_t segments, Arena* arena) const;

  // From tokens [T, D] to activations.embedding.
  void Forward(const float* parameters, absl::Span<const int32_t> cu_seqlens, const float* tokens,
               const MapHeadActivations& activations, kernels::ThreadPool& pool) const;

  // `dembedding` [S, E] is the gradient with respect to the embeddings of unit length; assigns
  // dtokens [T, D] and adds to `gradients`.
  void Backward(const float* parameters, float* gradients, absl::Span<const int32_t> cu_seqlens,
                const float* tokens, const MapHeadActivations& activations, const float* dembedding,
                const MapHeadScratch& scratch, float* dtokens, kernels::ThreadPool& pool) const;

  // End of the head's parameters in the flat array.
  size_t end() const { return end_; }

 private:
  // Between tokens [T, D] and activations.z; backwards from scratch.dz.
  void PoolForward(const float* parameters, absl::Span<const int32_t> cu_seqlens,
                   const float* tokens, const MapHeadActivations& activations,
                   kernels::ThreadPool& pool) const;
  void PoolBackward(const float* parameters, float* gradients, absl::Span<const int32_t> cu_seqlens,
                    const float* tokens, const MapHeadActivations& activations,
                    const MapHeadScratch& scratch, float* dtokens, kernels::ThreadPool& pool) const;

  TowerConfig size_;
  int64_t embedding_dim_;
  // Offsets in the flat array.
  size_t projection_;
  // With MAP alone.
  size_t probe_ = 0, q_ = 0, kv_ = 0, proj_ = 0, norm_ = 0;
  size_t fc1_ = 0, fc1_bias_ = 0, fc2_ = 0, fc2_bias_ = 0;
  size_t end_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_MAP_HEAD_H_
