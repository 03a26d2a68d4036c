#include <cmath>

#include "kernels/cuda/classification.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/rows.h"
#include "kernels/cuda/softplus.h"

namespace navit::kernels::cuda {
namespace {

// What each class of a row has for a target; the label has `share` more.
struct Target {
  float spread, share;
  NAVIT_DEVICE explicit Target(const ClassificationArgs& args)
      : spread(args.smoothing / static_cast<float>(args.classes)), share(1 - args.smoothing) {}
  NAVIT_DEVICE float Of(int64_t j, int64_t label) const {
    return j == label ? share + spread : spread;
  }
};

// A warp has a row: its logits, where its gradients go, its label.
struct Row {
  int64_t index, classes, label;
  Global<const Bf16> logits;
  Global<Bf16> dlogits;

  NAVIT_DEVICE Row(const ClassificationArgs& args, int64_t index)
      : index(index),
        classes(args.classes),
        label(Global<const int32_t>(args.label).Load(index)),
        logits(Global<const Bf16>(args.logits) + index * classes),
        dlogits(Global<Bf16>(args.dlogits) + index * classes) {}

  // Calls body(logit, class) for this lane's part of the row.
  template <typename Body>
  NAVIT_DEVICE void ForEach(Body body) const {
    for (int64_t i = RowBegin(); i < classes; i += kRowStep) {
      float values[8];
      LoadEight(values, logits, i, classes);
      NAVIT_UNROLL
      for (int j = 0; j < 8; ++j) {
        if (i + j < classes) body(values[j], i + j);
      }
    }
  }

  // Stores gradient(logit, class).
  template <typename Gradient>
  NAVIT_DEVICE void Store(Gradient gradient) const {
    for (int64_t i = RowBegin(); i < classes; i += kRowStep) {
      float values[8];
      LoadEight(values, logits, i, classes);
      NAVIT_UNROLL
      for (int j = 0; j < 8; ++j) values[j] = gradient(values[j], i + j);
      StoreEight(values, dlogits, i, classes);
    }
  }
};

struct SoftmaxRow {
  using Args = ClassificationArgs;

  NAVIT_DEVICE static void At(const Args& args, int64_t index) {
    const Row row(args, index);
    const Target target(args);
    float max = -INFINITY;
    row.ForEach([&](float z, int64_t) { max = Max(max, z); });
    max = LaneMax(max);
    // Of the row less its maximum: Σ e^z and Σ t·z.
    float sum = 0, along = 0;
    row.ForEach([&](float z, int64_t j) {
      sum += Exp(z - max);
      along = Fma(target.Of(j, row.label), z - max, along);
    });
    sum = LaneSum(sum);
    along = LaneSum(along);
    const float weight = static_cast<float>(args.weight), inverse = 1 / sum;
    row.Store([&](float z, int64_t j) {
      return weight * (Exp(z - max) * inverse - target.Of(j, row.label));
    });
    if (LaneIndex() == 0) Global<float>(args.row_loss).Store(row.index, Log(sum) - along);
  }
};

struct SigmoidRow {
  using Args = ClassificationArgs;

  NAVIT_DEVICE static void At(const Args& args, int64_t index) {
    const Row row(args, index);
    const Target target(args);
    float loss = 0;
    row.ForEach(
        [&](float z, int64_t j) { loss += Softplus(z).softplus - target.Of(j, row.label) * z; });
    loss = LaneSum(loss);
    const float weight = static_cast<float>(args.weight);
    row.Store([&](float z, int64_t j) {
      return weight * (Softplus(z).sigmoid - target.Of(j, row.label));
    });
    if (LaneIndex() == 0) Global<float>(args.row_loss).Store(row.index, loss);
  }
};

// One warp: the loss of all rows.
struct LossKernel {
  using Args = ClassificationArgs;
  static constexpr int kThreads = kWarp;

  NAVIT_DEVICE static void Run(const Args& args) {
    double sum = 0;
    for (int64_t row = LaneIndex(); row < args.rows; row += kWarp) {
      sum += Global<const float>(args.row_loss).Load(row);
    }
    sum = LaneSum(sum);
    if (LaneIndex() == 0) Global<double>(args.loss).Store(0, args.weight * sum);
  }
};

template <typename Body>
LaunchError Classify(const ClassificationArgs& args, Stream stream) {
  const LaunchError error = ForEachRow<Body>(args.rows, args, stream);
  if (!error.ok()) return error;
  return Launch<LossKernel>({1, LossKernel::kThreads, 0}, stream, args);
}

}  // namespace

LaunchError SoftmaxClassification(const ClassificationArgs& args, Stream stream) {
  return Classify<SoftmaxRow>(args, stream);
}

LaunchError SigmoidClassification(const ClassificationArgs& args, Stream stream) {
  return Classify<SigmoidRow>(args, stream);
}

}  // namespace navit::kernels::cuda
