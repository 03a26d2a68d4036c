// Patch bytes to the floats that the patch embedding takes: y = (x/255 − mean[c]) / std[c].
#ifndef NAVIT_KERNELS_PATCH_NORMALIZE_H_
#define NAVIT_KERNELS_PATCH_NORMALIZE_H_

#include <cstdint>

#include "kernels/thread_pool.h"

namespace navit::kernels {

// x and y are [tokens, patch_values]; patch_values = P·P·3 with the channel last, so channel
// c = index mod 3. std[c] > 0. y is assigned and does not alias x.
// Tolerance of _cpu against _ref: 2 ulp of max(|y|, |mean/std|).
struct PatchNormalizeArgs {
  int64_t tokens = 0;
  int64_t patch_values = 0;
  const uint8_t* x = nullptr;
  float mean[3] = {0.5f, 0.5f, 0.5f};
  float std[3] = {0.5f, 0.5f, 0.5f};
  float* y = nullptr;
};

void PatchNormalize(const PatchNormalizeArgs& args, ThreadPool& pool);

namespace ref {
void PatchNormalize(const PatchNormalizeArgs& args);
}  // namespace ref

}  // namespace navit::kernels

#endif  // NAVIT_KERNELS_PATCH_NORMALIZE_H_
