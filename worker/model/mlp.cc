#include "worker/model/mlp.h"

#include "kernels/bias_gelu.h"
#include "kernels/linear.h"

namespace navit {

Mlp::Mlp(const ParameterTable& table, const std::string& name, const TowerConfig& size)
    : width_(size.width),
      mlp_dim_(size.mlp_dim),
      gelu_erf_(size.gelu_erf),
      fc1_(table.Find(name + ".fc1.weight").offset),
      fc1_bias_(table.Find(name + ".fc1.bias").offset),
      fc2_(table.Find(name + ".fc2.weight").offset),
      fc2_bias_(table.Find(name + ".fc2.bias").offset) {}

MlpActivations Mlp::LayOut(int64_t rows, Arena* arena) const {
  MlpActivations a;
  a.hidden = arena->Take(rows * mlp_dim_);
  a.active = arena->Take(rows * mlp_dim_);
  return a;
}

void Mlp::Forward(const float* parameters, int64_t rows, const float* x, const MlpActivations& a,
                  float* y, bool accumulate, kernels::ThreadPool& pool) const {
  kernels::LinearForward({.rows = rows,
                          .in = width_,
                          .out = mlp_dim_,
                          .x = x,
                          .weight = parameters + fc1_,
                          .y = a.hidden},
                         pool);
  kernels::BiasGeluForward({.rows = rows,
                            .dim = mlp_dim_,
                            .x = a.hidden,
                            .bias = parameters + fc1_bias_,
                            .y = a.active,
                            .erf = gelu_erf_},
                           pool);
  kernels::LinearForward({.rows = rows,
                          .in = mlp_dim_,
                          .out = width_,
                          .x = a.active,
                          .weight = parameters + fc2_,
                          .bias = parameters + fc2_bias_,
                          .y = y,
                          .accumulate = accumulate},
                         pool);
}

void Mlp::Backward(const float* parameters, float* gradients, int64_t rows, const float* x,
                   const MlpActivations& a, const float* dy, float* dhidden, float* dx,
                   kernels::ThreadPool& pool) const {
  kernels::LinearBackwardWeight({.rows = rows,
                                 .in = mlp_dim_,
                                 .out = width_,
                                 .x = a.active,
                                 .dy = dy,
                                 .dweight = gradients + fc2_,
                                 .dbias = gradients + fc2_bias_},
                                pool);
  kernels::LinearBackwardInput({.rows = rows,
                                .in = mlp_dim_,
                                .out = width_,
                                .dy = dy,
                                .weight = parameters + fc2_,
                                .dx = dhidden},
                               pool);
  kernels::BiasGeluBackward({.rows = rows,
                             .dim = mlp_dim_,
                             .x = a.hidden,
                             .bias = parameters + fc1_bias_,
                             .dy = dhidden,
                             .dx = dhidden,
                             .dbias = gradients + fc1_bias_,
                             .erf = gelu_erf_},
                            pool);
  kernels::LinearBackwardWeight({.rows = rows,
                                 .in = width_,
                                 .out = mlp_dim_,
                                 .x = x,
                                 .dy = dhidden,
                                 .dweight = gradients + fc1_},
                                pool);
  kernels::LinearBackwardInput({.rows = rows,
                                .in = width_,
                                .out = mlp_dim_,
                                .dy = dhidden,
                                .weight = parameters + fc1_,
                                .dx = dx},
                               pool);
}

}  // namespace navit
