#include "kernels/cuda/column_sum.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/layer_scale.h"
#include "kernels/cuda/rows.h"

namespace navit::kernels::cuda {
namespace {

// to = gain·from, or kAdd, to += gain·from.
template <bool kAdd>
struct Scaled {
  struct Args {
    int64_t dim;
    const Bf16* from;
    const float* gain;
    Bf16* to;
  };

  NAVIT_DEVICE static void At(const Args& args, int64_t row) {
    const int64_t dim = args.dim;
    for (int64_t i = RowBegin(); i < dim; i += kRowStep) {
      float values[8], gains[8], result[8] = {};
      LoadEight(values, Global<const Bf16>(args.from) + row * dim, i, dim);
      LoadEight(gains, Global<const float>(args.gain), i, dim);
      if (kAdd) LoadEight(result, Global<const Bf16>(args.to) + row * dim, i, dim);
      NAVIT_UNROLL
      for (int j = 0; j < 8; ++j) result[j] = Fma(gains[j], values[j], result[j]);
      StoreEight(result, Global<Bf16>(args.to) + row * dim, i, dim);
    }
  }
};

}  // namespace

LaunchError LayerScaleForward(const LayerScaleForwardArgs& args, Stream stream) {
  return ForEachRow<Scaled<true>>(args.rows, {args.dim, args.x, args.gain, args.y}, stream);
}

LaunchError LayerScaleBackward(const LayerScaleBackwardArgs& args, Stream stream) {
  const LaunchError error =
      ColumnSum({args.rows, args.dim, args.dy, args.x, nullptr, args.dgain, args.partial}, stream);
  if (!error.ok()) return error;
  return ForEachRow<Scaled<false>>(args.rows, {args.dim, args.dy, args.gain, args.dx}, stream);
}

}  // namespace navit::kernels::cuda
