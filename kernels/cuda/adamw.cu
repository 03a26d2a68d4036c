#include <cmath>

#include "kernels/cuda/adamw.h"
#include "kernels/cuda/device.h"

namespace navit::kernels::cuda {
namespace {

struct AdamWKernel {
  struct Args {
    const AdamWPiece* piece;
    float* param;
    const float* grad;
    float* m;
    float* v;
    Bf16* weight;
    const float* grad_scale;
    float lr;
    float beta1, beta2;
    float one_minus_beta1, one_minus_beta2;
    float rate;            // lr / (1 − β1^step)
    float inv_sqrt_bias2;  // 1 / √(1 − β2^step)
    float eps;
  };
  static constexpr int kThreads = 256;

  NAVIT_DEVICE static void Run(const Args& args) {
    const AdamWPiece piece = Global<const AdamWPiece>(args.piece).Load(BlockIndex());
    const Global<float> param(args.param), m(args.m), v(args.v);
    const Global<const float> grad(args.grad);
    const Global<Bf16> weight(args.weight);
    const float scale =
        args.grad_scale == nullptr ? 1 : Global<const float>(args.grad_scale).Load(0);
    const float keep = 1 - args.lr * piece.lr_scale * piece.weight_decay;
    const float rate = args.rate * piece.lr_scale;
    const int64_t end = piece.begin + piece.count;
    for (int64_t i = piece.begin + ThreadIndex(); i < end; i += kThreads) {
      const float g = grad.Load(i) * scale;
      const float first = args.beta1 * m.Load(i) + args.one_minus_beta1 * g;
      const float second = args.beta2 * v.Load(i) + args.one_minus_beta2 * g * g;
      const float p =
          param.Load(i) * keep - rate * first / (Sqrt(second) * args.inv_sqrt_bias2 + args.eps);
      m.Store(i, first);
      v.Store(i, second);
      param.Store(i, p);
      if (weight) weight.Store(i, ToBf16(p));
    }
  }
};

struct SumSquaresKernel {
  using Args = GradientNormArgs;
  static constexpr int kThreads = 256;

  NAVIT_DEVICE static void Run(const Args& args) {
    const Shared<double> shared = SharedMemory<double>(0, kThreads);
    const Global<const float> grad(args.grad);
    double sum = 0;
    for (int64_t i = BlockIndex() * kThreads + ThreadIndex(); i < args.count;
         i += BlockCount() * kThreads) {
      const double x = grad.Load(i);
      sum += x * x;
    }
    shared.Store(ThreadIndex(), sum);
    for (int half = kThreads / 2; half > 0; half /= 2) {
      BlockBarrier();
      if (ThreadIndex() < half) {
        sum += shared.Load(ThreadIndex() + half);
        shared.Store(ThreadIndex(), sum);
      }
    }
    if (ThreadIndex() == 0) Global<double>(args.partial).Store(BlockIndex(), sum);
  }
};

struct NormKernel {
  using Args = GradientNormArgs;
  static constexpr int kThreads = 32;

  NAVIT_DEVICE static void Run(const Args& args) {
    const Shared<double> shared = SharedMemory<double>(0, kThreads);
    const Global<const double> partial(args.partial);
    double sum = 0;
    for (int64_t i = ThreadIndex(); i < kGradientNormBlocks; i += kThreads) sum += partial.Load(i);
    shared.Store(ThreadIndex(), sum);
    WarpBarrier();
    if (ThreadIndex() != 0) return;
    for (int i = 1; i < kThreads; ++i) sum += shared.Load(i);
    const float norm = Sqrt(static_cast<float>(sum));
    Global<float>(args.norm).Store(0, norm);
    float scale = args.max_norm > 0 && norm > args.max_norm ? args.max_norm / norm : 1;
    // Neither NaN nor infinity may pass for an update.
    if (!(norm < INFINITY)) scale = NAN;
    Global<float>(args.scale).Store(0, scale);
  }
};

}  // namespace

LaunchError AdamW(const AdamWArgs& args, Stream stream) {
  const double bias1 = 1 - std::pow(args.beta1, static_cast<double>(args.step));
  const double bias2 = 1 - std::pow(args.beta2, static_cast<double>(args.step));
  const auto f = [](double value) { return static_cast<float>(value); };
  return Launch<AdamWKernel>(
      {args.pieces, AdamWKernel::kThreads, 0}, stream,
      {args.piece, args.param, args.grad, args.m, args.v, args.weight, args.grad_scale, f(args.lr),
       f(args.beta1), f(args.beta2), f(1 - args.beta1), f(1 - args.beta2), f(args.lr / bias1),
       f(1 / std::sqrt(bias2)), f(args.eps)});
}

LaunchError GradientNorm(const GradientNormArgs& args, Stream stream) {
  const LaunchError error =
      Launch<SumSquaresKernel>({kGradientNormBlocks, SumSquaresKernel::kThreads,
                                static_cast<int64_t>(SumSquaresKernel::kThreads * sizeof(double))},
                               stream, args);
  if (!error.ok()) return error;
  return Launch<NormKernel>(
      {1, NormKernel::kThreads, static_cast<int64_t>(NormKernel::kThreads * sizeof(double))},
      stream, args);
}

}  // namespace navit::kernels::cuda
