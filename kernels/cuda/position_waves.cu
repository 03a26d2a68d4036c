#include "kernels/cuda/column_sum.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/elements.h"
#include "kernels/cuda/position_waves.h"

namespace navit::kernels::cuda {
namespace {

struct alignas(8) Point {
  float row, column;
};

NAVIT_DEVICE float Phase(float scale, const Point& at, const Point& frequency) {
  return scale * Fma(at.row, frequency.row, at.column * frequency.column);
}

// A pair of channels of a token.
struct Wave {
  using Args = PositionWavesForwardArgs;

  NAVIT_DEVICE static void At(const Args& args, int64_t i) {
    const int64_t half = args.dim / 2, token = i / half, k = i % half;
    const float phase =
        Phase(args.scale, Global<const float>(args.coordinates).LoadAs<Point>(2 * token),
              Global<const float>(args.frequencies).LoadAs<Point>(2 * k));
    const Global<Bf16> x = Global<Bf16>(args.x) + token * args.dim;
    x.Store(k, ToBf16(ToFloat(x.Load(k)) + Sin(phase)));
    x.Store(half + k, ToBf16(ToFloat(x.Load(half + k)) + Cos(phase)));
  }
};

// A frequency over a slab of tokens.
struct FrequencyGradient {
  using Args = PositionWavesBackwardArgs;

  NAVIT_DEVICE static void At(const Args& args, int64_t i) {
    const int64_t half = args.dim / 2, slab = i / half, k = i % half;
    const Point frequency = Global<const float>(args.frequencies).LoadAs<Point>(2 * k);
    const int64_t limit = (slab + 1) * kWavesSlab, end = limit < args.tokens ? limit : args.tokens;
    Point sum{0, 0};
    for (int64_t token = slab * kWavesSlab; token < end; ++token) {
      const Point at = Global<const float>(args.coordinates).LoadAs<Point>(2 * token);
      const Global<const Bf16> dx = Global<const Bf16>(args.dx) + token * args.dim;
      const float phase = Phase(args.scale, at, frequency);
      const float dphase =
          args.scale * (Cos(phase) * ToFloat(dx.Load(k)) - Sin(phase) * ToFloat(dx.Load(half + k)));
      sum.row = Fma(dphase, at.row, sum.row);
      sum.column = Fma(dphase, at.column, sum.column);
    }
    Global<float>(args.partial).StoreAs(slab * args.dim + 2 * k, sum);
  }
};

}  // namespace

LaunchError PositionWavesForward(const PositionWavesForwardArgs& args, Stream stream) {
  return ForEachElement<Wave>(args.tokens * (args.dim / 2), args, stream);
}

LaunchError PositionWavesBackward(const PositionWavesBackwardArgs& args, Stream stream) {
  const int64_t slabs = WavesSlabs(args.tokens);
  const LaunchError error = ForEachElement<FrequencyGradient>(slabs * (args.dim / 2), args, stream);
  if (!error.ok()) return error;
  return AddRows(slabs, args.dim, args.partial, args.dfrequencies, stream);
}

}  // namespace navit::kernels::cuda
