// y = gelu(x + b), in one of two forms (arXiv 1606.08415):
//   tanh  gelu(u) = u/2·(1 + tanh(√(2/π)·(u + 0.044715·u³)))
//   erf   gelu(u) = u/2·(1 + erf(u/√2))
#ifndef NAVIT_KERNELS_BIAS_GELU_H_
#define NAVIT_KERNELS_BIAS_GELU_H_

#include <cstdint>

#include "kernels/thread_pool.h"

namespace navit::kernels {

// x, y [rows, dim]; bias [dim]. y may alias x (then there is no backward pass).
// Tolerance of _cpu against _ref: 1e-6·max(1, |u|) absolute; tanh and erf themselves are good to
// 5e-7 absolute.
struct BiasGeluForwardArgs {
  int64_t rows = 0, dim = 0;
  const float* x = nullptr;
  const float* bias = nullptr;
  float* y = nullptr;
  bool erf = false;
};

// dx = dy·gelu'(x + b), assigned, may alias dy; dbias [dim] += column sums of dx, in an order that
// depends on `rows` only.
struct BiasGeluBackwardArgs {
  int64_t rows = 0, dim = 0;
  const float* x = nullptr;
  const float* bias = nullptr;
  const float* dy = nullptr;
  float* dx = nullptr;
  float* dbias = nullptr;
  bool erf = false;
};

void BiasGeluForward(const BiasGeluForwardArgs& args, ThreadPool& pool);
void BiasGeluBackward(const BiasGeluBackwardArgs& args, ThreadPool& pool);

namespace ref {
void BiasGeluForward(const BiasGeluForwardArgs& args);
void BiasGeluBackward(const BiasGeluBackwardArgs& args);
}  // namespace ref

}  // namespace navit::kernels

#endif  // NAVIT_KERNELS_BIAS_GELU_H_
