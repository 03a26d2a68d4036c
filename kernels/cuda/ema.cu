#include "kernels/cuda/device.h"
#include "kernels/cuda/elements.h"
#include "kernels/cuda/ema.h"

namespace navit::kernels::cuda {
namespace {

struct Average {
  struct Args {
    float share;  // 1 − decay
    const float* value;
    float* average;
  };

  NAVIT_DEVICE static void At(const Args& args, int64_t i) {
    const Global<float> average(args.average);
    const float before = average.Load(i);
    average.Store(i, Fma(args.share, Global<const float>(args.value).Load(i) - before, before));
  }
};

}  // namespace

LaunchError Ema(const EmaArgs& args, Stream stream) {
  return ForEachElement<Average>(
      args.count, {static_cast<float>(1 - args.decay), args.value, args.average}, stream);
}

}  // namespace navit::kernels::cuda
