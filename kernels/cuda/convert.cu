#include "kernels/cuda/convert.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/rows.h"

namespace navit::kernels::cuda {
namespace {

constexpr int64_t kValuesOfThread = 8;

struct RoundKernel {
  using Args = RoundArgs;
  static constexpr int kThreads = 256;

  NAVIT_DEVICE static void Run(const Args& args) {
    const int64_t i = (BlockIndex() * kThreads + ThreadIndex()) * kValuesOfThread;
    if (i >= args.count) return;
    float values[kValuesOfThread];
    LoadEight(values, Global<const float>(args.from), i, args.count);
    StoreEight(values, Global<Bf16>(args.to), i, args.count);
  }
};

}  // namespace

LaunchError Round(const RoundArgs& args, Stream stream) {
  constexpr int64_t kValuesOfBlock = RoundKernel::kThreads * kValuesOfThread;
  const int64_t blocks = (args.count + kValuesOfBlock - 1) / kValuesOfBlock;
  return Launch<RoundKernel>({blocks, RoundKernel::kThreads, 0}, stream, args);
}

}  // namespace navit::kernels::cuda
