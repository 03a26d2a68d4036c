#include "kernels/cuda/device.h"
#include "kernels/cuda/patch_normalize.h"

namespace navit::kernels::cuda {
namespace {

constexpr int64_t kMaxBlocks = 2048;
constexpr int kValues = 8;  // of one thread at a time
constexpr int kBatch = 4;   // such eights whose loads are in flight together

struct PatchNormalizeKernel {
  struct Args {
    int64_t count;
    const uint8_t* x;
    float slope[3];
    float offset[3];
    Bf16* y;
  };
  // A multiple of 3, so that a thread's values are always of the same channels.
  static constexpr int kThreads = 192;

  struct alignas(8) Bytes8 {
    uint8_t byte[kValues] = {};
  };

  NAVIT_DEVICE static void Run(const Args& args) {
    const Global<const uint8_t> x(args.x);
    const Global<Bf16> y(args.y);
    const int64_t stride = BlockCount() * kThreads * kValues;
    // Of the thread's first three values; then they repeat.
    const int channel = ThreadIndex() * kValues % 3;
    float slope[3], offset[3];
    NAVIT_UNROLL
    for (int j = 0; j < 3; ++j) {
      const int c = (channel + j) % 3;
      slope[j] = c == 0 ? args.slope[0] : c == 1 ? args.slope[1] : args.slope[2];
      offset[j] = c == 0 ? args.offset[0] : c == 1 ? args.offset[1] : args.offset[2];
    }
    for (int64_t first = (BlockIndex() * kThreads + ThreadIndex()) * kValues; first < args.count;
         first += stride * kBatch) {
      Bytes8 bytes[kBatch];
      NAVIT_UNROLL
      for (int k = 0; k < kBatch; ++k) {
        const int64_t i = first + k * stride;
        if (i + kValues <= args.count) {
          bytes[k] = x.LoadAs<Bytes8>(i);
        } else {
          NAVIT_UNROLL
          for (int j = 0; j < kValues; ++j) {
            if (i + j < args.count) bytes[k].byte[j] = x.Load(i + j);
          }
        }
      }
      NAVIT_UNROLL
      for (int k = 0; k < kBatch; ++k) {
        const int64_t i = first + k * stride;
        float values[kValues];
        NAVIT_UNROLL
        for (int j = 0; j < kValues; ++j) {
          values[j] = Fma(static_cast<float>(bytes[k].byte[j]), slope[j % 3], offset[j % 3]);
        }
        if (i + kValues <= args.count) {
          y.StoreAs<Vector16>(i, Pack(values));
        } else {
          NAVIT_UNROLL
          for (int j = 0; j < kValues; ++j) {
            if (i + j < args.count) y.Store(i + j, ToBf16(values[j]));
          }
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
  const int64_t per_block = PatchNormalizeKernel::kThreads * kValues * kBatch;
  const int64_t blocks = (kernel.count + per_block - 1) / per_block;
  return Launch<PatchNormalizeKernel>(
      {blocks < kMaxBlocks ? blocks : kMaxBlocks, PatchNormalizeKernel::kThreads, 0}, stream,
      kernel);
}

}  // namespace navit::kernels::cuda
