// What joins the columns' statistics over ranks (contrastive.h).
#include <cmath>

#include "kernels/cuda/contrastive.h"
#include "kernels/cuda/device.h"

namespace navit::kernels::cuda {
namespace {

constexpr int kBlock = 256;
constexpr LaunchShape Shape(int64_t count) { return {(count + kBlock - 1) / kBlock, kBlock, 0}; }

struct RescaleKernel {
  struct Args {
    int64_t count;
    const float* old_max;
    const float* new_max;
    float* sum;
  };
  static constexpr int kThreads = kBlock;

  NAVIT_DEVICE static void Run(const Args& args) {
    const int64_t i = BlockIndex() * kThreads + ThreadIndex();
    if (i >= args.count) return;
    const float before = Global<const float>(args.old_max).Load(i);
    const float after = Global<const float>(args.new_max).Load(i);
    const Global<float> sum(args.sum);
    sum.Store(i, before == -INFINITY ? 0 : sum.Load(i) * Exp(before - after));
  }
};

struct LogSumKernel {
  struct Args {
    int64_t count;
    const float* max;
    const float* sum;
    float* lse;
  };
  static constexpr int kThreads = kBlock;

  NAVIT_DEVICE static void Run(const Args& args) {
    const int64_t i = BlockIndex() * kThreads + ThreadIndex();
    if (i >= args.count) return;
    const float max = Global<const float>(args.max).Load(i);
    const float sum = Global<const float>(args.sum).Load(i);
    Global<float>(args.lse).Store(i, sum > 0 ? max + Log(sum) : -INFINITY);
  }
};

}  // namespace

LaunchError RescaleSoftmaxSums(int64_t count, const float* old_max, const float* new_max,
                               float* sum, Stream stream) {
  return Launch<RescaleKernel>(Shape(count), stream, {count, old_max, new_max, sum});
}

LaunchError SoftmaxLogSum(int64_t count, const float* max, const float* sum, float* lse,
                          Stream stream) {
  return Launch<LogSumKernel>(Shape(count), stream, {count, max, sum, lse});
}

}  // namespace navit::kernels::cuda
