// The references' gradients of the towers' operations against central differences.
#include <vector>

#include "kernels/bias_gelu.h"
#include "kernels/kernels_fixture.h"
#include "kernels/l2_normalize.h"
#include "kernels/layer_norm.h"
#include "kernels/layer_scale.h"
#include "kernels/rms_norm.h"
#include "kernels/segment_attention.h"

namespace navit::kernels {
namespace {

double Inner(const Floats& a, const Floats& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

TEST(ReferenceGradients, Differences) {
  constexpr int kRows = 6, kDim = 5;
  Floats x = Random(kRows * kDim), gain = Random(kDim), y(x.size()), inv(kRows);
  Floats dx(x.size()), dgain(kDim);
  const Floats w = Random(kRows * kDim);
  const auto rms = [&] {
    ref::RmsNormForward({kRows, kDim, 1e-6f, x.data(), gain.data(), y.data(), inv.data()});
    return Inner(w, y);
  };
  rms();
  ref::RmsNormBackward(
      {kRows, kDim, x.data(), gain.data(), inv.data(), w.data(), dx.data(), dgain.data()});
  CheckGradient(x, dx, rms, "rms_norm x");
  CheckGradient(gain, dgain, rms, "rms_norm gain");
  const auto gelu = [&] {
    ref::BiasGeluForward({kRows, kDim, x.data(), gain.data(), y.data()});
    return Inner(w, y);
  };
  std::fill(dgain.begin(), dgain.end(), 0.0f);
  ref::BiasGeluBackward({kRows, kDim, x.data(), gain.data(), w.data(), dx.data(), dgain.data()});
  CheckGradient(x, dx, gelu, "gelu x");
  CheckGradient(gain, dgain, gelu, "gelu bias");
  const auto unit = [&] {
    ref::L2NormalizeForward({kRows, kDim, 1e-6f, x.data(), y.data(), inv.data()});
    return Inner(w, y);
  };
  unit();
  ref::L2NormalizeBackward({kRows, kDim, 1e-6f, y.data(), inv.data(), w.data(), dx.data()});
  CheckGradient(x, dx, unit, "l2_normalize");

  Floats bias = Random(kDim), shift(kRows), dbias(kDim);
  const auto layer = [&] {
    ref::LayerNormForward({kRows, kDim, 1e-6f, x.data(), gain.data(), bias.data(), y.data(),
                           inv.data(), shift.data()});
    return Inner(w, y);
  };
  layer();
  std::fill(dgain.begin(), dgain.end(), 0.0f);
  ref::LayerNormBackward({kRows, kDim, x.data(), gain.data(), inv.data(), shift.data(), w.data(),
                          dx.data(), dgain.data(), dbias.data()});
  CheckGradient(x, dx, layer, "layer_norm x");
  CheckGradient(gain, dgain, layer, "layer_norm gain");
  CheckGradient(bias, dbias, layer, "layer_norm bias");
  const auto scale = [&] {
    std::fill(y.begin(), y.end(), 0.0f);
    ref::LayerScaleForward({kRows, kDim, x.data(), gain.data(), y.data()});
    return Inner(w, y);
  };
  std::fill(dgain.begin(), dgain.end(), 0.0f);
  ref::LayerScaleBackward({kRows, kDim, x.data(), gain.data(), w.data(), dx.data(), dgain.data()});
  CheckGradient(x, dx, scale, "layer_scale x");
  CheckGradient(gain, dgain, scale, "layer_scale gain");

  const std::vector<int32_t> cu = {0, 2, 2, 6};
  for (bool causal : {false, true}) {
    Floats qkv = Random(kRows * 3 * kDim), dqkv(qkv.size()), lse(kRows);
    const auto attention = [&] {
      ref::SegmentAttentionForward(
          {kRows, 3, 1, kDim, causal, cu.data(), qkv.data(), y.data(), lse.data()});
      return Inner(w, y);
    };
    attention();
    ref::SegmentAttentionBackward({kRows, 3, 1, kDim, causal, cu.data(), qkv.data(), y.data(),
                                   lse.data(), w.data(), dqkv.data()});
    CheckGradient(qkv, dqkv, attention, "attention");
  }
}

}  // namespace
}  // namespace navit::kernels
