#include "kernels/cuda/column_sum.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/layer_norm.h"
#include "kernels/cuda/rows.h"

namespace navit::kernels::cuda {
namespace {

struct Forward {
  using Args = LayerNormForwardArgs;

  NAVIT_DEVICE static void At(const Args& args, int64_t row) {
    const int64_t dim = args.dim;
    const Global<const Bf16> x = Global<const Bf16>(args.x) + row * dim;
    float sum = 0;
    for (int64_t i = RowBegin(); i < dim; i += kRowStep) {
      float values[8];
      LoadEight(values, x, i, dim);
      NAVIT_UNROLL
      for (int j = 0; j < 8; ++j) sum += values[j];
    }
    const float mean = LaneSum(sum) / static_cast<float>(dim);
    // A second pass: the difference of large sums would lose a small variance.
    float squares = 0;
    for (int64_t i = RowBegin(); i < dim; i += kRowStep) {
      float values[8];
      LoadEight(values, x, i, dim);
      NAVIT_UNROLL
      for (int j = 0; j < 8; ++j) {
        const float off = i + j < dim ? values[j] - mean : 0;
        squares = Fma(off, off, squares);
      }
    }
    const float inv_std = 1 / Sqrt(LaneSum(squares) / static_cast<float>(dim) + args.eps);
    for (int64_t i = RowBegin(); i < dim; i += kRowStep) {
      float values[8], gains[8], biases[8];
      LoadEight(values, x, i, dim);
      LoadEight(gains, Global<const float>(args.gain), i, dim);
      LoadEight(biases, Global<const float>(args.bias), i, dim);
      NAVIT_UNROLL
      for (int j = 0; j < 8; ++j) {
        values[j] = Fma((values[j] - mean) * inv_std, gains[j], biases[j]);
      }
      StoreEight(values, Global<Bf16>(args.y) + row * dim, i, dim);
    }
    if (args.inv_std == nullptr || LaneIndex() != 0) return;
    Global<float>(args.inv_std).Store(row, inv_std);
    Global<float>(args.shift).Store(row, -mean * inv_std);
  }
};

struct Backward {
  using Args = LayerNormBackwardArgs;

  NAVIT_DEVICE static void At(const Args& args, int64_t row) {
    const int64_t dim = args.dim;
    const Global<const Bf16> x = Global<const Bf16>(args.x) + row * dim;
    const Global<const Bf16> dy = Global<const Bf16>(args.dy) + row * dim;
    const Global<const Bf16> before = Global<const Bf16>(args.dx) + row * dim;
    const Global<const float> gain(args.gain);
    const float inv_std = Global<const float>(args.inv_std).Load(row);
    const float shift = Global<const float>(args.shift).Load(row);
    float sum = 0, along = 0;
    for (int64_t i = RowBegin(); i < dim; i += kRowStep) {
      float values[8], gradients[8], gains[8];
      LoadEight(values, x, i, dim);
      LoadEight(gradients, dy, i, dim);
      LoadEight(gains, gain, i, dim);
      NAVIT_UNROLL
      for (int j = 0; j < 8; ++j) {
        const float g = gains[j] * gradients[j];
        sum += g;
        along = Fma(g, Fma(values[j], inv_std, shift), along);
      }
    }
    const float mean = LaneSum(sum) / static_cast<float>(dim);
    const float mean_along = LaneSum(along) / static_cast<float>(dim);
    for (int64_t i = RowBegin(); i < dim; i += kRowStep) {
      float values[8], gradients[8], gains[8], result[8] = {};
      LoadEight(values, x, i, dim);
      LoadEight(gradients, dy, i, dim);
      LoadEight(gains, gain, i, dim);
      if (args.accumulate) LoadEight(result, before, i, dim);
      NAVIT_UNROLL
      for (int j = 0; j < 8; ++j) {
        const float unit = Fma(values[j], inv_std, shift);
        result[j] += inv_std * (gains[j] * gradients[j] - mean - unit * mean_along);
      }
      StoreEight(result, Global<Bf16>(args.dx) + row * dim, i, dim);
    }
  }
};

}  // namespace

LaunchError LayerNormForward(const LayerNormForwardArgs& args, Stream stream) {
  return ForEachRow<Forward>(args.rows, args, stream);
}

LaunchError LayerNormBackward(const LayerNormBackwardArgs& args, Stream stream) {
  // First: dx may replace dy.
  ColumnSumArgs sum{args.rows,    args.dim,   args.dy,      args.x,
                    args.inv_std, args.dgain, args.partial, args.shift};
  LaunchError error = ColumnSum(sum, stream);
  if (!error.ok()) return error;
  sum = {args.rows, args.dim, args.dy, nullptr, nullptr, args.dbias, args.partial};
  error = ColumnSum(sum, stream);
  if (!error.ok()) return error;
  return ForEachRow<Backward>(args.rows, args, stream);
}

}  // namespace navit::kernels::cuda
