// Exponential moving average of the weights.
#ifndef NAVIT_KERNELS_EMA_H_
#define NAVIT_KERNELS_EMA_H_

#include <cstdint>

#include "kernels/thread_pool.h"

namespace navit::kernels {

// average += (1 − decay)·(value − average), which stays exactly where average equals value.
// Tolerance of _cpu against _ref: 1e-6 relative.
struct EmaArgs {
  int64_t count = 0;
  double decay = 0;  // in [0, 1)
  const float* value = nullptr;
  float* average = nullptr;
};

void Ema(const EmaArgs& args, ThreadPool& pool);

namespace ref {
void Ema(const EmaArgs& args);
}  // namespace ref

}  // namespace navit::kernels

#endif  // NAVIT_KERNELS_EMA_H_
