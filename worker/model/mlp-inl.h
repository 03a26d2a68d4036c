// Definitions of mlp.h, for the files that instantiate it.
#ifndef NAVIT_WORKER_MODEL_MLP_INL_H_
#define NAVIT_WORKER_MODEL_MLP_INL_H_

#include "worker/model/mlp.h"

namespace navit {

template <typename Ops>
Mlp<Ops>::Mlp(const ParameterTable& table, const std::string& name, const TowerConfig& size)
    : width_(size.width),
      mlp_dim_(size.mlp_dim),
      gelu_erf_(size.gelu_erf),
      fc1_(table.Find(name + ".fc1.weight").offset),
      fc1_bias_(table.Find(name + ".fc1.bias").offset),
      fc2_(table.Find(name + ".fc2.weight").offset),
      fc2_bias_(table.Find(name + ".fc2.bias").offset) {}

template <typename Ops>
MlpActivations<Ops> Mlp<Ops>::LayOut(int64_t rows, Arena* arena) const {
  MlpActivations<Ops> a;
  a.hidden = arena->Take<Value>(rows * mlp_dim_);
  a.active = arena->Take<Value>(rows * mlp_dim_);
  return a;
}

template <typename Ops>
void Mlp<Ops>::Forward(const float* parameters, int64_t rows, const Value* x,
                       const MlpActivations<Ops>& a, Value* y, bool accumulate,
                       Context& context) const {
  Ops::LinearGeluForward({.rows = rows,
                          .in = width_,
                          .out = mlp_dim_,
                          .x = x,
                          .weight = parameters + fc1_,
                          .bias = parameters + fc1_bias_,
                          .hidden = a.hidden,
                          .y = a.active,
                          .erf = gelu_erf_},
                         context);
  Ops::LinearForward({.rows = rows,
                      .in = mlp_dim_,
                      .out = width_,
                      .x = a.active,
                      .weight = parameters + fc2_,
                      .bias = parameters + fc2_bias_,
                      .y = y,
                      .accumulate = accumulate},
                     context);
}

template <typename Ops>
void Mlp<Ops>::Backward(const float* parameters, float* gradients, int64_t rows, const Value* x,
                        const MlpActivations<Ops>& a, const Value* dy, Value* dhidden, Value* dx,
                        Context& context) const {
  Ops::LinearBackwardWeight({.rows = rows,
                             .in = mlp_dim_,
                             .out = width_,
                             .x = a.active,
                             .dy = dy,
                             .dweight = gradients + fc2_,
                             .dbias = gradients + fc2_bias_},
                            context);
  Ops::LinearGeluBackward({.rows = rows,
                           .in = mlp_dim_,
                           .out = width_,
                           .dy = dy,
                           .weight = parameters + fc2_,
                           .hidden = a.hidden,
                           .bias = parameters + fc1_bias_,
                           .dhidden = dhidden,
                           .dbias = gradients + fc1_bias_,
                           .erf = gelu_erf_},
                          context);
  Ops::LinearBackwardWeight({.rows = rows,
                             .in = width_,
                             .out = mlp_dim_,
                             .x = x,
                             .dy = dhidden,
                             .dweight = gradients + fc1_},
                            context);
  Ops::LinearBackwardInput({.rows = rows,
                            .in = width_,
                            .out = mlp_dim_,
                            .dy = dhidden,
                            .weight = parameters + fc1_,
                            .dx = dx},
                           context);
}

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_MLP_INL_H_
