#include "kernels/ema.h"

namespace navit::kernels::ref {

void Ema(const EmaArgs& args) {
  for (int64_t i = 0; i < args.count; ++i) {
    const double average = args.average[i];
    args.average[i] = static_cast<float>(average + (1 - args.decay) * (args.value[i] - average));
  }
}

}  // namespace navit::kernels::ref
