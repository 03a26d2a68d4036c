#include "kernels/cuda/device.h"
#include "kernels/cuda/l2_normalize.h"
#include "kernels/cuda/rows.h"

namespace navit::kernels::cuda {
namespace {

struct Forward {
  using Args = L2NormalizeForwardArgs;

  NAVIT_DEVICE static void At(const Args& args, int64_t row) {
    const int64_t dim = args.dim;
    const Global<const Bf16> x = Global<const Bf16>(args.x) + row * dim;
    const Global<Bf16> y = Global<Bf16>(args.y) + row * dim;
    float sum = 0;
    for (int64_t i = RowBegin(); i < dim; i += kRowStep) {
      float values[8];
      LoadEight(values, x, i, dim);
      NAVIT_UNROLL
      for (int j = 0; j < 8; ++j) sum = Fma(values[j], values[j], sum);
    }
    const float inv_norm = 1 / Max(Sqrt(LaneSum(sum)), args.eps);
    for (int64_t i = RowBegin(); i < dim; i += kRowStep) {
      float values[8];
      LoadEight(values, x, i, dim);
      NAVIT_UNROLL
      for (int j = 0; j < 8; ++j) values[j] *= inv_norm;
      StoreEight(values, y, i, dim);
    }
    if (LaneIndex() == 0) Global<float>(args.inv_norm).Store(row, inv_norm);
  }
};

struct Backward {
  using Args = L2NormalizeBackwardArgs;

  NAVIT_DEVICE static void At(const Args& args, int64_t row) {
    const int64_t dim = args.dim;
    const Global<const Bf16> y = Global<const Bf16>(args.y) + row * dim;
    const Global<const Bf16> dy = Global<const Bf16>(args.dy) + row * dim;
    const Global<Bf16> dx = Global<Bf16>(args.dx) + row * dim;
    const float inv_norm = Global<const float>(args.inv_norm).Load(row);
    float sum = 0;
    for (int64_t i = RowBegin(); i < dim; i += kRowStep) {
      float values[8], gradients[8];
      LoadEight(values, y, i, dim);
      LoadEight(gradients, dy, i, dim);
      NAVIT_UNROLL
      for (int j = 0; j < 8; ++j) sum = Fma(values[j], gradients[j], sum);
    }
    sum = LaneSum(sum);
    // Below eps the length is not held at one, and nothing is projected out.
    const float along = inv_norm * args.eps >= 1 ? 0 : sum;
    for (int64_t i = RowBegin(); i < dim; i += kRowStep) {
      float values[8], gradients[8];
      LoadEight(values, y, i, dim);
      LoadEight(gradients, dy, i, dim);
      NAVIT_UNROLL
      for (int j = 0; j < 8; ++j) {
        gradients[j] = inv_norm * (gradients[j] - values[j] * along);
      }
      StoreEight(gradients, dx, i, dim);
    }
  }
};

}  // namespace

LaunchError L2NormalizeForward(const L2NormalizeForwardArgs& args, Stream stream) {
  return ForEachRow<Forward>(args.rows, args, stream);
}

LaunchError L2NormalizeBackward(const L2NormalizeBackwardArgs& args, Stream stream) {
  return ForEachRow<Backward>(args.rows, args, stream);
}

}  // namespace navit::kernels::cuda
