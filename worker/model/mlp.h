// The transformer's MLP: fc2(gelu(fc1(x))), both layers with biases.
#ifndef NAVIT_WORKER_MODEL_MLP_H_
#define NAVIT_WORKER_MODEL_MLP_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "kernels/thread_pool.h"
#include "worker/model/arena.h"
#include "worker/model/parameters.h"

namespace navit {

// Of R rows; D width, M MLP width.
struct MlpActivations {
  float* hidden = nullptr;  // [R, M] before bias and GELU
  float* active = nullptr;  // [R, M]
};

class Mlp {
 public:
  // `name` is "image.blocks.3.mlp" or the like.
  Mlp(const ParameterTable& table, const std::string& name, const TowerConfig& size);

  MlpActivations LayOut(int64_t rows, Arena* arena) const;

  // From x [rows, D] to y [rows, D], assigned, or added to with `accumulate`.
  void Forward(const float* parameters, int64_t rows, const float* x,
               const MlpActivations& activations, float* y, bool accumulate,
               kernels::ThreadPool& pool) const;

  // From dy [rows, D] to dx [rows, D], assigned; dhidden [rows, M] is scratch. No aliasing. Adds to
  // `gradients`.
  void Backward(const float* parameters, float* gradients, int64_t rows, const float* x,
                const MlpActivations& activations, const float* dy, float* dhidden, float* dx,
                kernels::ThreadPool& pool) const;

 private:
  int64_t width_, mlp_dim_;
  bool gelu_erf_;
  // Offsets in the flat array.
  size_t fc1_, fc1_bias_, fc2_, fc2_bias_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_MLP_H_
