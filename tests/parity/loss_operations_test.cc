// The losses and the optimizer on the CPU by themselves against PyTorch's float64 values; see
// operations_test.cc.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernels/adamw.h"
#include "kernels/classification.h"
#include "kernels/contrastive.h"
#include "kernels/ema.h"
#include "kernels/sigmoid_contrastive.h"
#include "tests/parity/operation.h"

namespace navit::kernels {
namespace {

constexpr int64_t kRows = 9, kDim = 37;

// A batch of pairs on one rank, some with the same caption.
struct Pairs {
  static constexpr int64_t kCount = 11, kFeatures = 24;
  // HASHES.
  static constexpr uint64_t kHashes[kCount] = {1, 2, 3, 1, 4, 3, 5, 1, 6, 7, 8};

  Pairs(const Operation& op, EqualCaptions equal, float scale)
      : x(op.Reals("x", kCount * kFeatures, 0.5f)), y(op.Reals("y", kCount * kFeatures, 0.5f)) {
    for (int64_t i = 0; i < kCount; ++i) own[i] = i;
    strip = {.rows = kCount,
             .columns = kCount,
             .dim = kFeatures,
             .x = x.data(),
             .y = y.data(),
             .scale = scale,
             .positive = own,
             .row_hash = kHashes,
             .column_hash = kHashes,
             .equal_captions = equal};
  }

  const Floats x, y;
  int64_t own[kCount];
  ContrastiveStrip strip;
};

TEST_F(OperationsTest, SoftmaxContrastive) {
  constexpr int64_t kCount = Pairs::kCount;
  struct Variant {
    const char* name;
    EqualCaptions equal;
    float scale, smoothing;
  };
  for (const Variant& v :
       {Variant{"softmax_contrastive", EqualCaptions::kIgnored, 10, 0},
        Variant{"softmax_contrastive_positives", EqualCaptions::kPositive, 10, 0},
        Variant{"softmax_contrastive_smoothed", EqualCaptions::kIgnored, 10, 0.125f},
        Variant{"softmax_contrastive_hot", EqualCaptions::kIgnored, 100, 0}}) {
    const Operation op(v.name);
    Pairs pairs(op, v.equal, v.scale);
    Floats smooth(kCount);
    if (v.smoothing > 0) {
      for (int64_t i = 0; i < kCount; ++i) {
        int64_t counting = 0;
        for (int64_t j = 0; j < kCount; ++j) counting += PairCounts(pairs.strip, i, j);
        smooth[i] = v.smoothing / static_cast<float>(counting);
      }
      pairs.strip.row_smooth = pairs.strip.column_smooth = smooth.data();
      pairs.strip.positive_share = 1 - v.smoothing;
    }
    Floats row_max(kCount), row_lse(kCount), column_max(kCount), column_lse(kCount);
    Floats positive(kCount), smoothed(kCount);
    ContrastiveStats({pairs.strip, row_max.data(), row_lse.data(), column_max.data(),
                      column_lse.data(), positive.data(), smoothed.data()},
                     pool_);
    SoftmaxLogSum(kCount, row_max.data(), row_lse.data(), row_lse.data());
    SoftmaxLogSum(kCount, column_max.data(), column_lse.data(), column_lse.data());
    const double weight = 0.5 / kCount;
    double loss = 0;
    for (int64_t i = 0; i < kCount; ++i) {
      loss += row_lse[i] + column_lse[i] - 2 * pairs.strip.positive_share * positive[i];
      if (v.smoothing > 0) loss -= smoothed[i];
    }
    Floats dx(pairs.x.size()), dy(pairs.y.size());
    double dscale = 0;
    ContrastiveBackward({.strip = pairs.strip,
                         .row_lse = row_lse.data(),
                         .column_lse = column_lse.data(),
                         .row_weight = static_cast<float>(weight),
                         .column_weight = static_cast<float>(weight),
                         .dx = dx.data(),
                         .dy = dy.data(),
                         .dscale = &dscale},
                        pool_);
    op.ExpectY({static_cast<float>(weight * loss)});
    op.ExpectGradient("x", dx);
    op.ExpectGradient("y", dy);
    op.ExpectGradient("scale", {static_cast<float>(dscale)});
  }
}

TEST_F(OperationsTest, SigmoidContrastive) {
  struct Variant {
    const char* name;
    EqualCaptions equal;
    float smoothing;
  };
  for (const Variant& v :
       {Variant{"sigmoid_contrastive", EqualCaptions::kIgnored, 0},
        Variant{"sigmoid_contrastive_positives", EqualCaptions::kPositive, 0},
        Variant{"sigmoid_contrastive_smoothed", EqualCaptions::kIgnored, 0.125f}}) {
    const Operation op(v.name);
    const Pairs pairs(op, v.equal, 10);
    Floats dx(pairs.x.size()), dy(pairs.y.size());
    double loss = 0, dscale = 0, dbias = 0;
    kernels::SigmoidContrastive({.strip = pairs.strip,
                                 .bias = -10,
                                 .smoothing = v.smoothing,
                                 .weight = 1.0 / Pairs::kCount,
                                 .dx = dx.data(),
                                 .dy = dy.data(),
                                 .loss = &loss,
                                 .dscale = &dscale,
                                 .dbias = &dbias},
                                pool_);
    op.ExpectY({static_cast<float>(loss)});
    op.ExpectGradient("x", dx);
    op.ExpectGradient("y", dy);
    op.ExpectGradient("scale", {static_cast<float>(dscale)});
    op.ExpectGradient("bias", {static_cast<float>(dbias)});
  }
}

TEST_F(OperationsTest, Classification) {
  for (const auto& [name, loss_of] : {std::pair("softmax_classified", &SoftmaxClassification),
                                      std::pair("sigmoid_classified", &SigmoidClassification)}) {
    const Operation op(name);
    const Floats logits = op.Reals("logits", kRows * kDim, 8);
    const std::vector<int32_t> label = op.Whole<int32_t>("label", kRows, kDim);
    Floats dlogits(logits.size());
    double loss = 0;
    loss_of({kRows, kDim, logits.data(), label.data(), 0.125f, 1.0 / kRows, dlogits.data(), &loss},
            pool_);
    op.ExpectY({static_cast<float>(loss)});
    op.ExpectGradient("logits", dlogits);
  }
}

TEST_F(OperationsTest, AdamWThreeSteps) {
  const Operation op("adamw");
  Floats param = op.Reals("param", kDim), m(kDim), v(kDim);
  for (int step = 0; step < 3; ++step) {
    const Floats grad = op.Reals(absl::StrCat("grad", step).c_str(), kDim);
    AdamW({.count = kDim,
           .param = param.data(),
           .grad = grad.data(),
           .m = m.data(),
           .v = v.data(),
           .step = step + 1,
           .lr = 1.0 / 64,
           .beta1 = 0.875,
           .beta2 = 0.9375,
           .eps = 1e-8,
           .weight_decay = 0.125,
           .grad_scale = 0.5},
          pool_);
  }
  op.ExpectY(param);
}

TEST_F(OperationsTest, EmaAndSumOfSquares) {
  const Operation ema("ema");
  Floats average = ema.Reals("average", kDim);
  const Floats value = ema.Reals("value", kDim);
  Ema({kDim, 1 - 1.0 / 16, value.data(), average.data()}, pool_);
  ema.ExpectY(average);

  const Operation squares("sum_squares");
  const Floats x = squares.Reals("x", 1037);
  squares.ExpectY({static_cast<float>(SumSquares(x.data(), 1037, pool_))});
}

}  // namespace
}  // namespace navit::kernels
