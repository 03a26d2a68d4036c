// A norm over rows with a learned gain: RMSNorm, or LayerNorm with a bias.
#ifndef NAVIT_WORKER_MODEL_NORM_H_
#define NAVIT_WORKER_MODEL_NORM_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "worker/model/arena.h"
#include "worker/model/cpu_ops.h"
#include "worker/model/parameters.h"

namespace navit {

// Of R rows of width D.
template <typename Ops = CpuOps>
struct NormActivations {
  typename Ops::Value* y = nullptr;  // [R, D]
  float* scale = nullptr;            // [R] RMSNorm's inv_rms, LayerNorm's inv_std
  float* shift = nullptr;            // [R] with LayerNorm
};

template <typename Ops = CpuOps>
class Norm {
 public:
  using Value = typename Ops::Value;
  using Context = typename Ops::Context;

  // `name` is "image.blocks.3.norm1" or the like.
  Norm(const ParameterTable& table, const std::string& name, const TowerConfig& size);

  NormActivations<Ops> LayOut(int64_t rows, Arena* arena) const;
  // The same with y [rows, D] elsewhere.
  NormActivations<Ops> LayOut(int64_t rows, Value* y, Arena* arena) const;

  // From x [rows, D] to activations.y.
  void Forward(const float* parameters, int64_t rows, const Value* x,
               const NormActivations<Ops>& activations, Context& context) const;

  // dx [rows, D] is assigned from dy and may alias it; with `accumulate` it is added to and may
  // not. Adds to `gradients`.
  void Backward(const float* parameters, float* gradients, int64_t rows, const Value* x,
                const NormActivations<Ops>& activations, const Value* dy, Value* dx,
                bool accumulate, Context& context) const;

  // End of the norm's parameters in the flat array.
  size_t end() const { return end_; }

 private:
  int64_t dim_;
  float eps_;
  bool layer_;
  // Offsets in the flat array.
  size_t gain_, bias_ = 0;
  size_t end_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_NORM_H_
