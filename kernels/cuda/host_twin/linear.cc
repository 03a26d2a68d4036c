#include "kernels/cuda/host_twin/linear.h"

#include <cmath>

#include "kernels/cuda/host_twin/memory.h"
#include "kernels/cuda/host_twin/streams.h"

namespace navit::kernels::cuda {

namespace {

// The tanh form and its slope.
float Inner(float u) { return 0.797884561f * (u + 0.044715f * u * u * u); }
float Gelu(float u) { return 0.5f * u * (1 + std::tanh(Inner(u))); }
float GeluSlope(float u) {
  const float t = std::tanh(Inner(u));
  return 0.5f * (1 + t) + 0.5f * u * (1 - t * t) * 0.797884561f * (1 + 3 * 0.044715f * u * u);
}

void Forward(const LinearForwardArgs& args) {
  for (int64_t r = 0; r < args.rows; ++r) {
    for (int64_t o = 0; o < args.out; ++o) {
      Bf16& y = args.y[r * args.out + o];
      float sum = args.accumulate ? Bf16ToFloat(y) : 0;
      if (args.bias != nullptr) sum += Bf16ToFloat(args.bias[o]);
      for (int64_t i = 0; i < args.in; ++i) {
        sum += Bf16ToFloat(args.x[r * args.in + i]) * Bf16ToFloat(args.weight[o * args.in + i]);
      }
      if (args.pre_gelu != nullptr) {
        args.pre_gelu[r * args.out + o] = FloatToBf16(sum);
        sum = Gelu(sum);
      }
      y = FloatToBf16(sum);
    }
  }
  if (args.pre_gelu != nullptr) {
    twin::SetWritten(args.pre_gelu, args.rows * args.out * sizeof(Bf16));
  }
  twin::SetWritten(args.y, args.rows * args.out * sizeof(Bf16));
}

void BackwardInput(const LinearBackwardInputArgs& args) {
  for (int64_t r = 0; r < args.rows; ++r) {
    for (int64_t i = 0; i < args.in; ++i) {
      Bf16& dx = args.dx[r * args.in + i];
      float sum = args.accumulate ? Bf16ToFloat(dx) : 0;
      for (int64_t o = 0; o < args.out; ++o) {
        sum += Bf16ToFloat(args.dy[r * args.out + o]) * Bf16ToFloat(args.weight[o * args.in + i]);
      }
      if (args.pre_gelu != nullptr) {
        sum *= GeluSlope(Bf16ToFloat(args.pre_gelu[r * args.in + i]));
      }
      dx = FloatToBf16(sum);
    }
  }
  twin::SetWritten(args.dx, args.rows * args.in * sizeof(Bf16));
}

void BackwardWeight(const LinearBackwardWeightArgs& args) {
  for (int64_t o = 0; o < args.out; ++o) {
    for (int64_t i = 0; i < args.in; ++i) {
      float sum = 0;
      for (int64_t r = 0; r < args.rows; ++r) {
        sum += Bf16ToFloat(args.dy[r * args.out + o]) * Bf16ToFloat(args.x[r * args.in + i]);
      }
      args.dweight[o * args.in + i] += sum;
    }
  }
}

void Multiply(const ProductArgs& args) {
  const auto at = [](const Bf16* from, int64_t stride, bool transposed, int64_t i, int64_t j) {
    return Bf16ToFloat(from[transposed ? j * stride + i : i * stride + j]);
  };
  for (int64_t i = 0; i < args.rows; ++i) {
    float* const to = args.to + i * args.to_stride;
    for (int64_t j = 0; j < args.columns; ++j) {
      float sum = 0;
      for (int64_t k = 0; k < args.depth; ++k) {
        sum += at(args.a, args.a_stride, args.a_transposed, i, k) *
               at(args.b, args.b_stride, args.b_transposed, k, j);
      }
      to[j] = (args.accumulate ? to[j] : 0) + args.factor * sum;
    }
    twin::SetWritten(to, args.columns * sizeof(float));
  }
}

template <typename Args>
LaunchError Queued(void (*run)(const Args&), const Args& args, Stream stream) {
  twin::Queue(stream, [run, args] { run(args); });
  return {};
}

}  // namespace

LaunchError TwinLinearEngine::Forward(const LinearForwardArgs& args, Stream stream) {
  return Queued(&cuda::Forward, args, stream);
}

LaunchError TwinLinearEngine::BackwardInput(const LinearBackwardInputArgs& args, Stream stream) {
  return Queued(&cuda::BackwardInput, args, stream);
}

LaunchError TwinLinearEngine::BackwardWeight(const LinearBackwardWeightArgs& args, Stream stream) {
  return Queued(&cuda::BackwardWeight, args, stream);
}

LaunchError TwinLinearEngine::Multiply(const ProductArgs& args, Stream stream) {
  return Queued(&cuda::Multiply, args, stream);
}

std::unique_ptr<LinearEngine> LinearEngine::Create(void*, int64_t, LinearChoices) {
  return std::make_unique<TwinLinearEngine>();
}

}  // namespace navit::kernels::cuda
