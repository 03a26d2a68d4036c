#include "worker/model/norm.h"

#include "kernels/layer_norm.h"
#include "kernels/rms_norm.h"

namespace navit {

Norm::Norm(const ParameterTable& table, const std::string& name, const TowerConfig& size)
    : dim_(size.width),
      eps_(size.eps),
      layer_(size.layer_norm),
      gain_(table.Find(name + ".gain").offset),
      end_(gain_ + AlignedFloats(size.width)) {
  if (!layer_) return;
  bias_ = table.Find(name + ".bias").offset;
  end_ = bias_ + AlignedFloats(size.width);
}

NormActivations Norm::LayOut(int64_t rows, Arena* arena) const {
  return LayOut(rows, arena->Take(rows * dim_), arena);
}

NormActivations Norm::LayOut(int64_t rows, float* y, Arena* arena) const {
  NormActivations a;
  a.y = y;
  a.scale = arena->Take(rows);
  if (layer_) a.shift = arena->Take(rows);
  return a;
}

void Norm::Forward(const float* parameters, int64_t rows, const float* x, const NormActivations& a,
                   kernels::ThreadPool& pool) const {
  if (layer_) {
    kernels::LayerNormForward({.rows = rows,
                               .dim = dim_,
                               .eps = eps_,
                               .x = x,
                               .gain = parameters + gain_,
                               .bias = parameters + bias_,
                               .y = a.y,
                               .inv_std = a.scale,
                               .shift = a.shift},
                              pool);
    return;
  }
  kernels::RmsNormForward({.rows = rows,
                           .dim = dim_,
                           .eps = eps_,
                           .x = x,
                           .gain = parameters + gain_,
                           .y = a.y,
                           .inv_rms = a.scale},
                          pool);
}

void Norm::Backward(const float* parameters, float* gradients, int64_t rows, const float* x,
                    const NormActivations& a, const float* dy, float* dx, bool accumulate,
                    kernels::ThreadPool& pool) const {
  if (layer_) {
    kernels::LayerNormBackward({.rows = rows,
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
                               pool);
    return;
  }
  kernels::RmsNormBackward({.rows = rows,
                            .dim = dim_,
                            .x = x,
                            .gain = parameters + gain_,
                            .inv_rms = a.scale,
                            .dy = dy,
                            .dx = dx,
                            .dgain = gradients + gain_,
                            .accumulate = accumulate},
                           pool);
}

}  // namespace navit
