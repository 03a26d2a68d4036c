#include "kernels/cuda/device.h"
#include "kernels/cuda/position_table.h"
#include "kernels/cuda/rows.h"

namespace navit::kernels::cuda {
namespace {

struct PositionKernel {
  using Args = PositionTableForwardArgs;
  static constexpr int kThreads = kRowThreads;

  NAVIT_DEVICE static void Run(const Args& args) {
    const int64_t token = RowIndex();
    if (token >= args.tokens) return;
    // Two loads of 16 bytes: the rows, then the weights.
    struct alignas(16) Rows {
      int32_t row[4];
    };
    struct alignas(16) Weights {
      float weight[4];
    };
    const Global<const float> taps(reinterpret_cast<const float*>(args.taps));
    const Rows rows = taps.LoadAs<Rows>(token * 8);
    const Weights weights = taps.LoadAs<Weights>(token * 8 + 4);
    const Global<const float> table(args.table);
    const Global<Bf16> x = Global<Bf16>(args.x) + (token * args.stride + args.offset);
    for (int64_t i = LaneIndex(); i < args.dim; i += kWarp) {
      float sum = ToFloat(x.Load(i));
      NAVIT_UNROLL
      for (int tap = 0; tap < 4; ++tap) {
        if (weights.weight[tap] == 0) continue;
        sum = Fma(weights.weight[tap], table.Load(rows.row[tap] * args.dim + i), sum);
      }
      x.Store(i, ToBf16(sum));
    }
  }
};

}  // namespace

LaunchError PositionTableForward(const PositionTableForwardArgs& args, Stream stream) {
  return Launch<PositionKernel>({RowBlocks(args.tokens), kRowThreads, 0}, stream, args);
}

}  // namespace navit::kernels::cuda
