// Attention pooling with one learned probe (MAP):
//   y = proj(attention(q(probe), kv(tokens)));  z = y + mlp(norm(y))
#ifndef NAVIT_WORKER_MODEL_MAP_POOL_H_
#define NAVIT_WORKER_MODEL_MAP_POOL_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/types/span.h"
#include "kernels/thread_pool.h"
#include "worker/model/arena.h"
#include "worker/model/mlp.h"
#include "worker/model/norm.h"
#include "worker/model/parameters.h"

namespace navit {

// T tokens in S segments, none of them empty; D width, M MLP width, H heads.
struct MapPoolActivations {
  float* query = nullptr;   // [D]
  float* kv = nullptr;      // [T, 2, D]
  float* pooled = nullptr;  // [S, D]
  float* lse = nullptr;     // [S, H]
  float* y = nullptr;       // [S, D]
  NormActivations norm;     // of S rows
  MlpActivations mlp;       // of S rows
};

struct MapPoolScratch {
  float* drow = nullptr;     // [S, D]
  float* dhidden = nullptr;  // [S, M]
  float* dkv = nullptr;      // [T, 2, D]
  float* dquery = nullptr;   // [D]
};

class MapPool {
 public:
  // `name` is "image.pool" or "text.pool".
  MapPool(const ParameterTable& table, const std::string& name, const TowerConfig& size);

  MapPoolActivations LayOut(int64_t tokens, int64_t segments, Arena* arena) const;
  MapPoolScratch LayOutScratch(int64_t tokens, int64_t segments, Arena* arena) const;

  // From tokens [T, D] to z [S, D], assigned.
  void Forward(const float* parameters, absl::Span<const int32_t> cu_seqlens, const float* tokens,
               const MapPoolActivations& activations, float* z, kernels::ThreadPool& pool) const;

  // From dz [S, D], which is overwritten, to dtokens [T, D], assigned; adds to `gradients`.
  void Backward(const float* parameters, float* gradients, absl::Span<const int32_t> cu_seqlens,
                const float* tokens, const MapPoolActivations& activations,
                const MapPoolScratch& scratch, float* dz, float* dtokens,
                kernels::ThreadPool& pool) const;

  // End of the parameters in the flat array.
  size_t end() const { return probe_ + AlignedFloats(size_.width); }

 private:
  // A bias in `buffer`, a flat array; null where the tower has none.
  template <typename Float>
  Float* Bias(Float* buffer, size_t offset) const {
    return size_.map_bias ? buffer + offset : nullptr;
  }

  TowerConfig size_;
  // Offsets in the flat array; biases with map_bias.
  size_t probe_, q_, kv_, proj_, q_bias_ = 0, kv_bias_ = 0, proj_bias_ = 0;
  Norm norm_;
  Mlp mlp_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_MAP_POOL_H_
