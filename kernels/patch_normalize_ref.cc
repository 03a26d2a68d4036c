#include "kernels/patch_normalize.h"

namespace navit::kernels::ref {

void PatchNormalize(const PatchNormalizeArgs& args) {
  for (int64_t t = 0; t < args.tokens; ++t) {
    for (int64_t i = 0; i < args.patch_values; ++i) {
      const int64_t at = t * args.patch_values + i;
      const int c = i % 3;
      args.y[at] = static_cast<float>((args.x[at] / 255.0 - args.mean[c]) / args.std[c]);
    }
  }
}

}  // namespace navit::kernels::ref
