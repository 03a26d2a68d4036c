#include "worker/model/device/twin_linear.h"

#include <cmath>

#include "worker/model/device/twin_device.h"

namespace navit {

namespace cuda = kernels::cuda;
using cuda::Bf16;

namespace {

// The tanh form and its slope.
float Inner(float u) { return 0.797884561f * (u + 0.044715f * u * u * u); }
float Gelu(float u) { return 0.5f * u * (1 + std::tanh(Inner(u))); }
float GeluSlope(float u) {
  const float t = std::tanh(Inner(u));
  return 0.5f * (1 + t) + 0.5f * u * (1 - t * t) * 0.797884561f * (1 + 3 * 0.044715f * u * u);
}

}  // namespace

cuda::LaunchError TwinLinearEngine::Forward(const cuda::LinearForwardArgs& args, cuda::Stream) {
  for (int64_t r = 0; r < args.rows; ++r) {
    for (int64_t o = 0; o < args.out; ++o) {
      Bf16& y = args.y[r * args.out + o];
      float sum = args.accumulate ? cuda::Bf16ToFloat(y) : 0;
      if (args.bias != nullptr) sum += cuda::Bf16ToFloat(args.bias[o]);
      for (int64_t i = 0; i < args.in; ++i) {
        sum += cuda::Bf16ToFloat(args.x[r * args.in + i]) *
               cuda::Bf16ToFloat(args.weight[o * args.in + i]);
      }
      if (args.pre_gelu != nullptr) {
        args.pre_gelu[r * args.out + o] = cuda::FloatToBf16(sum);
        sum = Gelu(sum);
      }
      y = cuda::FloatToBf16(sum);
    }
  }
  if (args.pre_gelu != nullptr) {
    TwinDevice::SetWritten(args.pre_gelu, args.rows * args.out * sizeof(Bf16));
  }
  TwinDevice::SetWritten(args.y, args.rows * args.out * sizeof(Bf16));
  return {};
}

cuda::LaunchError TwinLinearEngine::BackwardInput(const cuda::LinearBackwardInputArgs& args,
                                                  cuda::Stream) {
  for (int64_t r = 0; r < args.rows; ++r) {
    for (int64_t i = 0; i < args.in; ++i) {
      Bf16& dx = args.dx[r * args.in + i];
      float sum = args.accumulate ? cuda::Bf16ToFloat(dx) : 0;
      for (int64_t o = 0; o < args.out; ++o) {
        sum += cuda::Bf16ToFloat(args.dy[r * args.out + o]) *
               cuda::Bf16ToFloat(args.weight[o * args.in + i]);
      }
      if (args.pre_gelu != nullptr) {
        sum *= GeluSlope(cuda::Bf16ToFloat(args.pre_gelu[r * args.in + i]));
      }
      dx = cuda::FloatToBf16(sum);
    }
  }
  TwinDevice::SetWritten(args.dx, args.rows * args.in * sizeof(Bf16));
  return {};
}

cuda::LaunchError TwinLinearEngine::BackwardWeight(const cuda::LinearBackwardWeightArgs& args,
                                                   cuda::Stream) {
  for (int64_t o = 0; o < args.out; ++o) {
    for (int64_t i = 0; i < args.in; ++i) {
      float sum = 0;
      for (int64_t r = 0; r < args.rows; ++r) {
        sum += cuda::Bf16ToFloat(args.dy[r * args.out + o]) *
               cuda::Bf16ToFloat(args.x[r * args.in + i]);
      }
      args.dweight[o * args.in + i] += sum;
    }
  }
  return {};
}

}  // namespace navit
