// The transformer's MLP: fc2(gelu(fc1(x))), both layers with biases.
#ifndef NAVIT_WORKER_MODEL_MLP_H_
#define NAVIT_WORKER_MODEL_MLP_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "worker/model/arena.h"
#include "worker/model/cpu_ops.h"
#include "worker/model/parameters.h"

namespace navit {

// Of R rows; D width, M MLP width.
template <typename Ops = CpuOps>
struct MlpActivations {
  typename Ops::Value* hidden = nullptr;  // [R, M], of Ops::LinearGeluForward
  typename Ops::Value* active = nullptr;  // [R, M]
};

template <typename Ops = CpuOps>
class Mlp {
 public:
  using Value = typename Ops::Value;
  using Context = typename Ops::Context;

  // `name` is "image.blocks.3.mlp" or the like.
  Mlp(const ParameterTable& table, const std::string& name, const TowerConfig& size);

  MlpActivations<Ops> LayOut(int64_t rows, Arena* arena) const;

  // From x [rows, D] to y [rows, D], assigned, or added to with `accumulate`.
  void Forward(const float* parameters, int64_t rows, const Value* x,
               const MlpActivations<Ops>& activations, Value* y, bool accumulate,
               Context& context) const;

  // From dy [rows, D] to dx [rows, D], assigned; dhidden [rows, M] is scratch. No aliasing. Adds to
  // `gradients`.
  void Backward(const float* parameters, float* gradients, int64_t rows, const Value* x,
                const MlpActivations<Ops>& activations, const Value* dy, Value* dhidden, Value* dx,
                Context& context) const;

 private:
  int64_t width_, mlp_dim_;
  bool gelu_erf_;
  // Offsets in the flat array.
  size_t fc1_, fc1_bias_, fc2_, fc2_bias_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_MLP_H_
