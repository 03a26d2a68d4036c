// Definitions of norm.h, for the files that instantiate it.
#ifndef NAVIT_WORKER_MODEL_NORM_INL_H_
#define NAVIT_WORKER_MODEL_NORM_INL_H_

#include "worker/model/norm.h"

namespace navit {

template <typename Ops>
Norm<Ops>::Norm(const ParameterTable& table, const std::string& name, const TowerConfig& size)
    : dim_(size.width),
      eps_(size.eps),
      layer_(size.layer_norm),
      gain_(table.Find(name + ".gain").offset),
      end_(gain_ + AlignedFloats(size.width)) {
  if (!layer_) return;
  bias_ = table.Find(name + ".bias").offset;
  end_ = bias_ + AlignedFloats(size.width);
}

template <typename Ops>
NormActivations<Ops> Norm<Ops>::LayOut(int64_t rows, Arena* arena) const {
  return LayOut(rows, arena->Take<Value>(rows * dim_), arena);
}

template <typename Ops>
NormActivations<Ops> Norm<Ops>::LayOut(int64_t rows, Value* y, Arena* arena) const {
  NormActivations<Ops> a;
  a.y = y;
  a.scale = arena->Take(rows);
  if (layer_) a.shift = arena->Take(rows);
  return a;
}

template <typename Ops>
void Norm<Ops>::Forward(const float* parameters, int64_t rows, const Value* x,
                        const NormActivations<Ops>& a, Context& context) const {
  if (layer_) {
    Ops::LayerNormForward({.rows = rows,
                           .dim = dim_,
                           .eps = eps_,
                           .x = x,
                           .gain = parameters + gain_,
                           .bias = parameters + bias_,
                           .y = a.y,
                           .inv_std = a.scale,
                           .shift = a.shift},
                          context);
    return;
  }
  Ops::RmsNormForward({.rows = rows,
                       .dim = dim_,
                       .eps = eps_,
                       .x = x,
                       .gain = parameters + gain_,
                       .y = a.y,
                       .inv_rms = a.scale},
                      context);
}

template <typename Ops>
void Norm<Ops>::Backward(const float* parameters, float* gradients, int64_t rows, const Value* x,
                         const NormActivations<Ops>& a, const Value* dy, Value* dx, bool accumulate,
                         Context& context) const {
  if (layer_) {
    Ops::LayerNormBackward({.rows = rows,
                            .dim = dim_,
                            .x = x,
                            .gain = parameters + gain_,
                            .inv_std = a.scale,
                            .shift = a.shift,
                            .dy = dy,
                            .dx = dx,
                            .dgain = gradients + gain_,
                            .dbias = gradients + bias_,
                            .accumulate = accumulate},
                           context);
    return;
  }
  Ops::RmsNormBackward({.rows = rows,
                        .dim = dim_,
                        .x = x,
                        .gain = parameters + gain_,
                        .inv_rms = a.scale,
                        .dy = dy,
                        .dx = dx,
                        .dgain = gradients + gain_,
                        .accumulate = accumulate},
                       context);
}

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_NORM_INL_H_
