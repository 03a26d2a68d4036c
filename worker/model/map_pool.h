// Attention pooling with one learned probe (MAP):
//   y = proj(attention(q(probe), kv(tokens)));  z = y + mlp(norm(y))
#ifndef NAVIT_WORKER_MODEL_MAP_POOL_H_
#define NAVIT_WORKER_MODEL_MAP_POOL_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/types/span.h"
#include "worker/model/arena.h"
#include "worker/model/cpu_ops.h"
#include "worker/model/mlp.h"
#include "worker/model/norm.h"
#include "worker/model/parameters.h"

namespace navit {

// T tokens in S segments, none of them empty; D width, M MLP width, H heads.
template <typename Ops = CpuOps>
struct MapPoolActivations {
  typename Ops::Value* query_values = nullptr;  // [D]
  float* query = nullptr;                       // [D] the same
  typename Ops::Value* kv = nullptr;            // [T, 2, D]
  typename Ops::Value* pooled = nullptr;        // [S, D]
  float* lse = nullptr;                         // [S, H]
  typename Ops::Value* y = nullptr;             // [S, D]
  NormActivations<Ops> norm;                    // of S rows
  MlpActivations<Ops> mlp;                      // of S rows
};

template <typename Ops = CpuOps>
struct MapPoolScratch {
  typename Ops::Value* drow = nullptr;           // [S, D]
  typename Ops::Value* dhidden = nullptr;        // [S, M]
  typename Ops::Value* dkv = nullptr;            // [T, 2, D]
  float* dquery = nullptr;                       // [D]
  typename Ops::Value* dquery_values = nullptr;  // [D] the same
  typename Ops::Value* dprobe = nullptr;         // [D]
};

template <typename Ops = CpuOps>
class MapPool {
 public:
  using Value = typename Ops::Value;
  using Context = typename Ops::Context;
  using Segments = typename Ops::Segments;

  // `name` is "image.pool" or "text.pool".
  MapPool(const ParameterTable& table, const std::string& name, const TowerConfig& size);

  MapPoolActivations<Ops> LayOut(int64_t tokens, int64_t segments, Arena* arena) const;
  MapPoolScratch<Ops> LayOutScratch(int64_t tokens, int64_t segments, Arena* arena) const;

  // From tokens [T, D] to z [S, D], assigned.
  void Forward(const float* parameters, Segments cu_seqlens, const Value* tokens,
               const MapPoolActivations<Ops>& activations, Value* z, Context& context) const;

  // From dz [S, D], which is overwritten, to dtokens [T, D], assigned; adds to `gradients`.
  void Backward(const float* parameters, float* gradients, Segments cu_seqlens, const Value* tokens,
                const MapPoolActivations<Ops>& activations, const MapPoolScratch<Ops>& scratch,
                Value* dz, Value* dtokens, Context& context) const;

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
  Norm<Ops> norm_;
  Mlp<Ops> mlp_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_MAP_POOL_H_
