#include "kernels/cuda/device.h"
#include "kernels/cuda/patch_normalize.h"

namespace navit::kernels::cuda {
namespace {

constexpr int64_t kMaxBlocks = 2048;
constexpr int kValues = 8;  // of one thread at a time

struct PatchNormalizeKernel {
  struct Args {
    int64_t count;
    const uint8_t* x;
    float slope[3];
    float offset[3];
    Bf16* y;
  };
  static constexpr int kThreads = 256;

  NAVIT_DEVICE static float One(const Args& args, uint32_t x, int channel) {
    const float slope = channel == 0 ? args.slope[0] : channel == 1 ? args.slope[1] : args.slope[2];
    const float offset = channel == 0   ? args.offset[0]
                         : channel == 1 ? args.offset[1]
                                        : args.offset[2];
    return Fma(static_cast<float>(x), slope, offset);
  }

  NAVIT_DEVICE static void Run(const Args& args) {
    struct alignas(8) Bytes8 {
      uint8_t byte[kValues];
    };
    const Global<const uint8_t> x(args.x);
    const Global<Bf16> y(args.y);
    const int64_t stride = BlockCount() * kThreads * kValues;
    for (int64_t i = (BlockIndex() * kThreads + ThreadIndex()) * kValues; i < args.count;
         i += stride) {
      int channel = static_cast<int>(i % 3);
      if (i + kValues <= args.count) {
        const Bytes8 bytes = x.LoadAs<Bytes8>(i);
        float values[kValues];
        NAVIT_UNROLL
        for (int j = 0; j < kValues; ++j) {
          values[j] = One(args, bytes.byte[j], channel);
          channel = channel == 2 ? 0 : channel + 1;
        }
        y.StoreAs<Vector16>(i, Pack(values));
      } else {
        for (int64_t j = i; j < args.count; ++j) {
          y.Store(j, ToBf16(One(args, x.Load(j), static_cast<int>(j % 3))));
        }
      }
    }
  }
};

}  // namespace

LaunchError PatchNormalize(const PatchNormalizeArgs& args, Stream stream) {
  PatchNormalizeKernel::Args kernel{args.tokens * args.patch_values, args.x, {}, {}, args.y};
  for (int c = 0; c < 3; ++c) {
    kernel.slope[c] = 1 / (255 * args.std[c]);
    kernel.offset[c] = -args.mean[c] / args.std[c];
  }
  const int64_t per_block = PatchNormalizeKernel::kThreads * kValues;
  const int64_t blocks = (kernel.count + per_block - 1) / per_block;
  return Launch<PatchNormalizeKernel>(
      {blocks < kMaxBlocks ? blocks : kMaxBlocks, PatchNormalizeKernel::kThreads, 0}, stream,
      kernel);
}

}  // namespace navit::kernels::cuda
