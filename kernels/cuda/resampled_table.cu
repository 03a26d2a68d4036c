#include "kernels/cuda/device.h"
#include "kernels/cuda/resampled_table.h"
#include "kernels/cuda/rows.h"

namespace navit::kernels::cuda {
namespace {

// A warp has a token.
struct Forward {
  using Args = ResampledTableForwardArgs;

  NAVIT_DEVICE static void At(const Args& args, int64_t token) {
    const int64_t dim = args.dim, rows = args.table_rows;
    const Global<const float> of_row = Global<const float>(args.weights) + token * 2 * rows;
    const Global<const float> of_column = of_row + rows;
    for (int64_t i = RowBegin(); i < dim; i += kRowStep) {
      float sum[8];
      LoadEight(sum, Global<const Bf16>(args.x) + token * dim, i, dim);
      for (int64_t r = 0; r < rows; ++r) {
        const float row_weight = of_row.Load(r);
        if (row_weight == 0) continue;
        for (int64_t c = 0; c < rows; ++c) {
          const float weight = row_weight * of_column.Load(c);
          if (weight == 0) continue;
          float values[8];
          LoadEight(values, Global<const float>(args.table) + (r * rows + c) * dim, i, dim);
          NAVIT_UNROLL
          for (int j = 0; j < 8; ++j) sum[j] = Fma(weight, values[j], sum[j]);
        }
      }
      StoreEight(sum, Global<Bf16>(args.x) + token * dim, i, dim);
    }
  }
};

// A warp has 256 channels of a cell of the table, and looks at 32 tokens at a time.
struct Backward {
  struct Args {
    ResampledTableBackwardArgs table;
    int64_t pieces;  // of a cell
  };

  NAVIT_DEVICE static void At(const Args& args, int64_t index) {
    const ResampledTableBackwardArgs& table = args.table;
    const int64_t cell = index / args.pieces, rows = table.table_rows, dim = table.dim;
    const int64_t i = index % args.pieces * kRowStep + RowBegin();
    const Global<const float> weights(table.weights);
    float sum[8] = {};
    for (int64_t first = 0; first < table.tokens; first += kWarp) {
      const int64_t mine = first + LaneIndex();
      float weight = 0;
      if (mine < table.tokens) {
        weight = weights.Load(mine * 2 * rows + cell / rows) *
                 weights.Load(mine * 2 * rows + rows + cell % rows);
      }
      if (LaneMax(weight != 0 ? 1.0f : 0.0f) == 0) continue;
      for (int lane = 0; lane < kWarp; ++lane) {
        const float of_token = ShuffleFrom(weight, lane);
        if (of_token == 0 || i >= dim) continue;
        float values[8];
        LoadEight(values, Global<const Bf16>(table.dx) + (first + lane) * dim, i, dim);
        NAVIT_UNROLL
        for (int j = 0; j < 8; ++j) sum[j] = Fma(of_token, values[j], sum[j]);
      }
    }
    const Global<float> to = Global<float>(table.dtable) + cell * dim;
    NAVIT_UNROLL
    for (int j = 0; j < 8; ++j) {
      if (i + j < dim) to.Store(i + j, to.Load(i + j) + sum[j]);
    }
  }
};

}  // namespace

LaunchError ResampledTableForward(const ResampledTableForwardArgs& args, Stream stream) {
  return ForEachRow<Forward>(args.tokens, args, stream);
}

LaunchError ResampledTableBackward(const ResampledTableBackwardArgs& args, Stream stream) {
  const int64_t pieces = (args.dim + kRowStep - 1) / kRowStep;
  return ForEachRow<Backward>(args.table_rows * args.table_rows * pieces, {args, pieces}, stream);
}

}  // namespace navit::kernels::cuda
