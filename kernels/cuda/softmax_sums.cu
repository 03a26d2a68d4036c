// What joins the columns' statistics over ranks (contrastive.h).
#include <cmath>

#include "kernels/cuda/contrastive.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/elements.h"

namespace navit::kernels::cuda {
namespace {

struct Rescale {
  struct Args {
    const float* old_max;
    const float* new_max;
    float* sum;
  };

  NAVIT_DEVICE static void At(const Args& args, int64_t i) {
    const float before = Global<const float>(args.old_max).Load(i);
    const float after = Global<const float>(args.new_max).Load(i);
    const Global<float> sum(args.sum);
    sum.Store(i, before == -INFINITY ? 0 : sum.Load(i) * Exp(before - after));
  }
};

struct LogSum {
  struct Args {
    const float* max;
    const float* sum;
    float* lse;
  };

  NAVIT_DEVICE static void At(const Args& args, int64_t i) {
    const float max = Global<const float>(args.max).Load(i);
    const float sum = Global<const float>(args.sum).Load(i);
    Global<float>(args.lse).Store(i, sum > 0 ? max + Log(sum) : -INFINITY);
  }
};

}  // namespace

LaunchError RescaleSoftmaxSums(int64_t count, const float* old_max, const float* new_max,
                               float* sum, Stream stream) {
  return ForEachElement<Rescale>(count, {old_max, new_max, sum}, stream);
}

LaunchError SoftmaxLogSum(int64_t count, const float* max, const float* sum, float* lse,
                          Stream stream) {
  return ForEachElement<LogSum>(count, {max, sum, lse}, stream);
}

}  // namespace navit::kernels::cuda
