#include "kernels/cuda/column_sum.h"
#include "kernels/cuda/device.h"
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
    float sum = 0;
    for (int64_t i = RowBegin(); i < dim; i += kRowStep) {
      float values[8];
      LoadEight(values, x, i, dim);
      NAVIT_UNROLL
      for (int j = 0; j < 8; ++j) sum = Fma(values[j], values[j], sum);
    }
    const float inv_rms = 1 / Sqrt(LaneSum(sum) / static_cast<float>(dim) + args.eps);
    for (int64_t i = RowBegin(); i < dim; i += kRowStep) {
      float values[8], gains[8];
      LoadEight(values, x, i, dim);
      LoadEight(gains, gain, i, dim);
      NAVIT_UNROLL
      for (int j = 0; j < 8; ++j) values[j] *= inv_rms * gains[j];
      StoreEight(values, y, i, dim);
    }
    if (args.inv_rms != nullptr && LaneIndex() == 0)
      Global<float>(args.inv_rms).Store(row, inv_rms);
  }
};

struct Backward {
  using Args = RmsNormBackwardArgs;

  NAVIT_DEVICE static void At(const Args& args, int64_t row) {
    const int64_t dim = args.dim;
    const Global<const Bf16> x = Global<const Bf16>(args.x) + row * dim;
    const Global<const Bf16> dy = Global<const Bf16>(args.dy) + row * dim;
    const Global<Bf16> dx = Global<Bf16>(args.dx) + row * dim;
    const Global<const Bf16> before = Global<const Bf16>(args.dx) + row * dim;
    const Global<const float> gain(args.gain);
    const float inv_rms = Global<const float>(args.inv_rms).Load(row);
    float sum = 0;
    for (int64_t i = RowBegin(); i < dim; i += kRowStep) {
      float values[8], gradients[8], gains[8];
      LoadEight(values, x, i, dim);
      LoadEight(gradients, dy, i, dim);
      LoadEight(gains, gain, i, dim);
      NAVIT_UNROLL
      for (int j = 0; j < 8; ++j) sum = Fma(gains[j] * gradients[j], values[j], sum);
    }
    const float mean = LaneSum(sum) * inv_rms / static_cast<float>(dim);
    for (int64_t i = RowBegin(); i < dim; i += kRowStep) {
      float values[8], gradients[8], gains[8], result[8] = {};
      LoadEight(values, x, i, dim);
      LoadEight(gradients, dy, i, dim);
      LoadEight(gains, gain, i, dim);
      if (args.accumulate) LoadEight(result, before, i, dim);
      NAVIT_UNROLL
      for (int j = 0; j < 8; ++j) {
        result[j] += inv_rms * (gains[j] * gradients[j] - values[j] * inv_rms * mean);
      }
      StoreEight(result, dx, i, dim);
    }
  }
};

}  // namespace

LaunchError RmsNormForward(const RmsNormForwardArgs& args, Stream stream) {
  return ForEachRow<Forward>(args.rows, args, stream);
}

LaunchError RmsNormBackward(const RmsNormBackwardArgs& args, Stream stream) {
  // First: dx may replace dy.
  const LaunchError error = ColumnSum(
      {args.rows, args.dim, args.dy, args.x, args.inv_rms, args.dgain, args.partial}, stream);
  if (!error.ok()) return error;
  return ForEachRow<Backward>(args.rows, args, stream);
}

}  // namespace navit::kernels::cuda
