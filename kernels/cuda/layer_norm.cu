#include "kernels/cuda/device.h"
#include "kernels/cuda/layer_norm.h"
#include "kernels/cuda/norm_backward.h"
#include "kernels/cuda/rows.h"

namespace navit::kernels::cuda {
namespace {

struct Forward {
  using Args = LayerNormForwardArgs;

  NAVIT_DEVICE static void At(const Args& args, int64_t row) {
    const int64_t dim = args.dim;
    const Global<const Bf16> x = Global<const Bf16>(args.x) + row * dim;
    const bool one_group = dim <= RowGroup::kColumns;
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
        for (int j = 0; j < 8; ++j) sum += values[j];
      }
    }
    const float mean = LaneSum(sum) / static_cast<float>(dim);
    // A second pass: the difference of large sums would lose a small variance.
    float squares = 0;
    for (int64_t first = 0; first < dim; first += RowGroup::kColumns) {
      if (!one_group) group.Load(x, first, dim);
      NAVIT_UNROLL
      for (int k = 0; k < RowGroup::kPieces; ++k) {
        const int64_t i = RowGroup::Column(first, k);
        if (i >= dim) break;
        float values[8];
        Unpack(group.piece[k], values);
        NAVIT_UNROLL
        for (int j = 0; j < 8; ++j) {
          const float off = i + j < dim ? values[j] - mean : 0;
          squares = Fma(off, off, squares);
        }
      }
    }
    const float inv_std = 1 / Sqrt(LaneSum(squares) / static_cast<float>(dim) + args.eps);
    for (int64_t first = 0; first < dim; first += RowGroup::kColumns) {
      if (!one_group) group.Load(x, first, dim);
      NAVIT_UNROLL
      for (int k = 0; k < RowGroup::kPieces; ++k) {
        const int64_t i = RowGroup::Column(first, k);
        if (i >= dim) break;
        float values[8], gains[8], biases[8];
        Unpack(group.piece[k], values);
        LoadEight(gains, Global<const float>(args.gain), i, dim);
        LoadEight(biases, Global<const float>(args.bias), i, dim);
        NAVIT_UNROLL
        for (int j = 0; j < 8; ++j) {
          values[j] = Fma((values[j] - mean) * inv_std, gains[j], biases[j]);
        }
        StoreEight(values, Global<Bf16>(args.y) + row * dim, i, dim);
      }
    }
    if (args.inv_std == nullptr || LaneIndex() != 0) return;
    Global<float>(args.inv_std).Store(row, inv_std);
    Global<float>(args.shift).Store(row, -mean * inv_std);
  }
};

}  // namespace

LaunchError LayerNormForward(const LayerNormForwardArgs& args, Stream stream) {
  return ForEachRow<Forward>(args.rows, args, stream);
}

LaunchError LayerNormBackward(const LayerNormBackwardArgs& args, Stream stream) {
  return NormBackward<true>({args.rows, args.dim, args.x, args.gain, args.inv_std, args.shift,
                             args.dy, args.dx, args.accumulate, args.partial},
                            args.dgain, args.dbias, stream);
}

}  // namespace navit::kernels::cuda
