#include "kernels/cuda/contrastive_gradient.h"
#include "kernels/cuda/contrastive_pairs.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/sigmoid_contrastive.h"
#include "kernels/cuda/softplus.h"

namespace navit::kernels::cuda {
namespace {

class SigmoidRule {
 public:
  struct Args {
    float bias, smoothing, weight;
  };

  static constexpr int kSharedBytes = 0;

  NAVIT_DEVICE SigmoidRule(const ScoreTile&, const ContrastiveStrip& strip, const Args& args, int)
      : args_(args), scale_(strip.scale) {}

  NAVIT_DEVICE void Column(int) {}
  NAVIT_DEVICE void Row(int) {}

  // Sums: the loss, the gradients of scale and bias, all without the weight.
  NAVIT_DEVICE float Gradient(float cosine, PairKind kind, int, int, float (&sums)[kPairSums]) {
    const float z = Fma(cosine, scale_, args_.bias);
    const float target = kind.positive ? 1 - 0.5f * args_.smoothing : 0.5f * args_.smoothing;
    const Softplus at(z);
    const float g = at.sigmoid - target;
    sums[0] += at.softplus - target * z;
    sums[1] += g * cosine;
    sums[2] += g;
    return g * args_.weight;
  }

 private:
  const Args& args_;
  const float scale_;
};

}  // namespace

LaunchError SigmoidContrastive(const SigmoidContrastiveArgs& args, Stream stream) {
  return ContrastiveGradients<SigmoidRule>(
      args.strip, *args.engine, {args.bias, args.smoothing, static_cast<float>(args.weight)},
      args.dx, args.dy, args.weight, {args.loss, args.dscale, args.dbias}, args.workspace, stream);
}

}  // namespace navit::kernels::cuda
