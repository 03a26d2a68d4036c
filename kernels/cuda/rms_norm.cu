#include "kernels/cuda/device.h"
#include "kernels/cuda/norm_backward.h"
#include "kernels/cuda/rms_norm.h"
#include "kernels/cuda/rows.h"

namespace navit::kernels::cuda {
namespace {

struct Forward {
  using Args = RmsNormForwardArgs;

  NAVIT_DEVICE static void At(const Args& args, int64_t row) {
    const int64_t dim = args.dim;
    const Global<const Bf16> x = Global<const Bf16>(args.x) + row * dim;
    const Global<Bf16> y = Global<Bf16>(args.y) + row * dim;
    const Global<const float> gain(args.gain);
    RowGroup group;
    float sum = 0;
    for (int64_t first = 0; first < dim; first += RowGroup::kColumns) {
      group.Load(x, first, dim);
      NAVIT_UNROLL
      for (int k = 0; k < RowGroup::kPieces; ++k) {
        if (RowGroup::Column(first, k) >= dim) break;
        float values[8];
        Unpack(group.piece[k], values);
        NAVIT_UNROLL
        for (int j = 0; j < 8; ++j) sum = Fma(values[j], values[j], sum);
      }
    }
    const float inv_rms = 1 / Sqrt(LaneSum(sum) / static_cast<float>(dim) + args.eps);
    for (int64_t first = 0; first < dim; first += RowGroup::kColumns) {
      if (dim > RowGroup::kColumns) group.Load(x, first, dim);
      NAVIT_UNROLL
      for (int k = 0; k < RowGroup::kPieces; ++k) {
        const int64_t i = RowGroup::Column(first, k);
        if (i >= dim) break;
        float values[8], gains[8];
        Unpack(group.piece[k], values);
        LoadEight(gains, gain, i, dim);
        NAVIT_UNROLL
        for (int j = 0; j < 8; ++j) values[j] *= inv_rms * gains[j];
        StoreEight(values, y, i, dim);
      }
    }
    if (args.inv_rms != nullptr && LaneIndex() == 0)
      Global<float>(args.inv_rms).Store(row, inv_rms);
  }
};

}  // namespace

LaunchError RmsNormForward(const RmsNormForwardArgs& args, Stream stream) {
  return ForEachRow<Forward>(args.rows, args, stream);
}

LaunchError RmsNormBackward(const RmsNormBackwardArgs& args, Stream stream) {
  return NormBackward<false>({args.rows, args.dim, args.x, args.gain, args.inv_rms, nullptr,
                              args.dy, args.dx, args.accumulate, args.partial},
                             args.dgain, nullptr, stream);
}

}  // namespace navit::kernels::cuda
