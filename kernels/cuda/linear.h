// linear.h (kernels/) on a GPU: GEMM by cuBLASLt, bf16 in, fp32 sums, with what follows it fused.
#ifndef NAVIT_KERNELS_CUDA_LINEAR_H_
#define NAVIT_KERNELS_CUDA_LINEAR_H_

#include <cstdint>
#include <memory>

#include "kernels/cuda/bf16.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/linear_choices.h"

namespace navit::kernels::cuda {

// y = x·Wᵀ (+ bias), y += x·Wᵀ (+ bias), or y = gelu(x·Wᵀ + bias) in the tanh form.
//   x [rows, in], weight [out, in], bias [out], y [rows, out], all bf16; no aliasing
// With `pre_gelu` [rows, out], gelu is applied and its argument kept there for the backward pass.
// in and out are multiples of 8. Tolerance against _ref on the same input: 2^-7 of Σ|x·w|.
struct LinearForwardArgs {
  int64_t rows = 0, in = 0, out = 0;
  const Bf16* x = nullptr;
  const Bf16* weight = nullptr;
  const Bf16* bias = nullptr;  // null: none
  Bf16* y = nullptr;
  bool accumulate = false;   // without gelu
  Bf16* pre_gelu = nullptr;  // null: no gelu; needs bias
};

// dx = dy·W, dx += dy·W, or dx = (dy·W)·gelu'(pre_gelu), pre_gelu [rows, in].
struct LinearBackwardInputArgs {
  int64_t rows = 0, in = 0, out = 0;
  const Bf16* dy = nullptr;
  const Bf16* weight = nullptr;
  Bf16* dx = nullptr;
  bool accumulate = false;  // without gelu
  const Bf16* pre_gelu = nullptr;
};

// dweight [out, in] fp32 += dyᵀ·x. Gradients of biases: column_sum.h.
struct LinearBackwardWeightArgs {
  int64_t rows = 0, in = 0, out = 0;
  const Bf16* x = nullptr;
  const Bf16* dy = nullptr;
  float* dweight = nullptr;
};

// to [rows, columns] = factor·op(a)·op(b), or += it: bf16 in, fp32 out, row-major. op(a) [rows,
// depth] is a, or where a_transposed the transpose of a [depth, rows]; op(b) [depth, columns]
// likewise. A stride is the distance of two rows as stored, in elements: a multiple of 8, of `to`
// one of 4. Without depth `to` stays as it is. Tolerance on the same input: 2^-16 of Σ|a·b|.
struct ProductArgs {
  int64_t rows = 0, columns = 0, depth = 0;
  const Bf16* a = nullptr;
  int64_t a_stride = 0;
  bool a_transposed = false;
  const Bf16* b = nullptr;
  int64_t b_stride = 0;
  bool b_transposed = false;
  float* to = nullptr;
  int64_t to_stride = 0;
  float factor = 1;
  bool accumulate = false;
};

LinearShape ShapeOf(const LinearForwardArgs& args);
LinearShape ShapeOf(const LinearBackwardInputArgs& args);
LinearShape ShapeOf(const LinearBackwardWeightArgs& args);

// Keeps the algorithm of each shape, so that a step asks for none: that of the choice, where
// FindLinearChoice has one and cuBLASLt accepts it for this shape and workspace, else the first
// that cuBLASLt's heuristic proposes, as for Multiply always. One thread at a time. cuBLASLt's sums
// do not depend on the run for a given algorithm; choices are of IsReproducible algorithms.
class LinearEngine {
 public:
  // `workspace`: device memory for split sums, 256-byte aligned, owned by the caller; it is used on
  // one stream at a time. `choices`: measured on this device with this cuBLASLt. Null when cuBLASLt
  // cannot be initialised.
  static std::unique_ptr<LinearEngine> Create(void* workspace, int64_t workspace_bytes,
                                              LinearChoices choices = {});
  virtual ~LinearEngine() = default;

  // The code of a LaunchError is a cublasStatus_t plus kCublasErrors.
  static constexpr int kCublasErrors = 100000;
  virtual LaunchError Forward(const LinearForwardArgs& args, Stream stream) = 0;
  virtual LaunchError BackwardInput(const LinearBackwardInputArgs& args, Stream stream) = 0;
  virtual LaunchError BackwardWeight(const LinearBackwardWeightArgs& args, Stream stream) = 0;
  virtual LaunchError Multiply(const ProductArgs& args, Stream stream) = 0;

  // Of the shapes so far, those whose algorithm is a choice's.
  virtual int64_t ChosenShapes() const = 0;
};

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_LINEAR_H_
