#include "worker/model/device/twin_linear.h"

#include "worker/model/device/twin_device.h"

namespace navit {

namespace cuda = kernels::cuda;
using cuda::Bf16;

namespace {

// Fused GELU is not what the towers ask for.
constexpr cuda::LaunchError kNotSupported = {cuda::LinearEngine::kCublasErrors + 15};

}  // namespace

cuda::LaunchError TwinLinearEngine::Forward(const cuda::LinearForwardArgs& args, cuda::Stream) {
  if (args.pre_gelu != nullptr) return kNotSupported;
  for (int64_t r = 0; r < args.rows; ++r) {
    for (int64_t o = 0; o < args.out; ++o) {
      Bf16& y = args.y[r * args.out + o];
      float sum = args.accumulate ? cuda::Bf16ToFloat(y) : 0;
      if (args.bias != nullptr) sum += cuda::Bf16ToFloat(args.bias[o]);
      for (int64_t i = 0; i < args.in; ++i) {
        sum += cuda::Bf16ToFloat(args.x[r * args.in + i]) *
               cuda::Bf16ToFloat(args.weight[o * args.in + i]);
      }
      y = cuda::FloatToBf16(sum);
    }
  }
  TwinDevice::SetWritten(args.y, args.rows * args.out * sizeof(Bf16));
  return {};
}

cuda::LaunchError TwinLinearEngine::BackwardInput(const cuda::LinearBackwardInputArgs& args,
                                                  cuda::Stream) {
  if (args.pre_gelu != nullptr) return kNotSupported;
  for (int64_t r = 0; r < args.rows; ++r) {
    for (int64_t i = 0; i < args.in; ++i) {
      Bf16& dx = args.dx[r * args.in + i];
      float sum = args.accumulate ? cuda::Bf16ToFloat(dx) : 0;
      for (int64_t o = 0; o < args.out; ++o) {
        sum += cuda::Bf16ToFloat(args.dy[r * args.out + o]) *
               cuda::Bf16ToFloat(args.weight[o * args.in + i]);
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
