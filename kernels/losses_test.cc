// The losses: _cpu against _ref on each SIMD target of this machine, and the references' gradients.
#include <cmath>
#include <vector>

#include "kernels/classification.h"
#include "kernels/contrastive.h"
#include "kernels/kernels_fixture.h"
#include "kernels/sigmoid_contrastive.h"

namespace navit::kernels {
namespace {

// Invalid rows and columns, equal captions, more than one tile of rows.
class ContrastiveProblem {
 public:
  static constexpr int kRows = 270, kColumns = 301, kDim = 7;

  explicit ContrastiveProblem(EqualCaptions equal_captions) {
    for (int j = 0; j < kColumns; ++j) column_hash_[j] = j % 50;
    for (int i = 0; i < kRows; ++i) row_hash_[i] = column_hash_[positive_[i] = i + 20];
    positive_[3] = -1;
    valid_[23] = valid_[0] = 0;
    strip = {kRows,         kColumns,         kDim,          x.data(),         y.data(),
             9.0f,          positive_.data(), valid_.data(), row_hash_.data(), column_hash_.data(),
             equal_captions};
  }

  Floats x = Random(kRows * kDim, 0.4f), y = Random(kColumns * kDim, 0.4f);
  ContrastiveStrip strip;

 private:
  std::vector<int64_t> positive_ = std::vector<int64_t>(kRows);
  std::vector<uint8_t> valid_ = std::vector<uint8_t>(kColumns, 1);
  std::vector<uint64_t> row_hash_ = std::vector<uint64_t>(kRows);
  std::vector<uint64_t> column_hash_ = std::vector<uint64_t>(kColumns);
};

constexpr int kRows = ContrastiveProblem::kRows, kColumns = ContrastiveProblem::kColumns;
constexpr int kDim = ContrastiveProblem::kDim;

TEST_P(KernelsTest, Contrastive) {
  const Floats row_smooth(kRows, 2e-3f), column_smooth(kColumns, 3e-3f);
  for (const EqualCaptions equal : {EqualCaptions::kIgnored, EqualCaptions::kPositive}) {
    for (bool smoothing : {false, true}) {
      ContrastiveProblem problem(equal);
      ContrastiveStrip& strip = problem.strip;
      if (smoothing) {
        strip.positive_share = 0.9f;
        strip.row_smooth = row_smooth.data();
        strip.column_smooth = column_smooth.data();
      }
      Floats rm(kRows), rs(kRows), cm(kColumns), cs(kColumns), ps(kRows), ss(kRows);
      Floats rm2 = rm, rs2 = rs, cm2 = cm, cs2 = cs, ps2 = ps, ss2 = ss;
      ref::ContrastiveStats(
          {strip, rm.data(), rs.data(), cm.data(), cs.data(), ps.data(), ss.data()});
      ContrastiveStats(
          {strip, rm2.data(), rs2.data(), cm2.data(), cs2.data(), ps2.data(), ss2.data()}, pool_);
      EXPECT_EQ(0, rs2[3]);
      EXPECT_EQ(0, cs2[0]);
      ExpectNear(rs, rs2, 1e-4, "row_sum");
      ExpectNear(cs, cs2, 1e-4, "column_sum");
      ExpectNear(ps, ps2, 1e-4, "positive");
      ExpectNear(ss, ss2, 1e-4, "smooth");
      SoftmaxLogSum(kRows, rm.data(), rs.data(), rm.data());
      SoftmaxLogSum(kColumns, cm.data(), cs.data(), cm.data());
      Floats dx(problem.x.size()), dy(problem.y.size()), dx2 = dx, dy2 = dy;
      double ds = 0, ds2 = 0;
      ref::ContrastiveBackward(
          {strip, rm.data(), cm.data(), 0.5f, 0.7f, dx.data(), dy.data(), &ds});
      ContrastiveBackward({strip, rm.data(), cm.data(), 0.5f, 0.7f, dx2.data(), dy2.data(), &ds2},
                          pool_);
      ExpectNear(dx, dx2, 2e-4, "dx");
      ExpectNear(dy, dy2, 2e-4, "dy");
      EXPECT_NEAR(ds, ds2, 1e-3 * std::abs(ds));
      EXPECT_EQ(0, dx2[3 * kDim]);
      EXPECT_EQ(0, dy2[0]);
    }
  }
}

TEST_P(KernelsTest, SigmoidContrastive) {
  for (const EqualCaptions equal : {EqualCaptions::kIgnored, EqualCaptions::kPositive}) {
    for (float smoothing : {0.0f, 0.2f}) {
      ContrastiveProblem problem(equal);
      Floats dx(problem.x.size()), dy(problem.y.size()), dx2 = dx, dy2 = dy;
      double loss = 0, ds = 0, db = 0, loss2 = 0, ds2 = 0, db2 = 0;
      ref::SigmoidContrastive(
          {problem.strip, -3.0f, smoothing, 0.01, dx.data(), dy.data(), &loss, &ds, &db});
      SigmoidContrastive(
          {problem.strip, -3.0f, smoothing, 0.01, dx2.data(), dy2.data(), &loss2, &ds2, &db2},
          pool_);
      EXPECT_NEAR(loss, loss2, 1e-5 * loss);
      EXPECT_NEAR(ds, ds2, 1e-4 * std::abs(ds) + 1e-4);
      EXPECT_NEAR(db, db2, 1e-4 * std::abs(db) + 1e-4);
      ExpectNear(dx, dx2, 2e-5, "dx");
      ExpectNear(dy, dy2, 2e-5, "dy");
      EXPECT_EQ(0, dx2[3 * kDim]);
      EXPECT_EQ(0, dy2[0]);
    }
  }
}

TEST_P(KernelsTest, Classification) {
  for (int classes : {1, 2, 7, 10, 67, 1000}) {
    for (float smoothing : {0.0f, 0.3f}) {
      for (int rows : {0, 1, 13}) {
        // Far beyond what e^z can hold.
        const Floats logits = Random(rows * classes, 60);
        std::vector<int32_t> label(rows);
        for (int32_t& l : label) l = static_cast<int32_t>(Generator()() % classes);
        for (bool softmax : {false, true}) {
          Floats dz(logits.size()), dz2 = logits;
          double loss = 0, loss2 = 0;
          ClassificationArgs args{rows,      classes, logits.data(), label.data(),
                                  smoothing, 0.01,    dz.data(),     &loss};
          softmax ? ref::SoftmaxClassification(args) : ref::SigmoidClassification(args);
          // In place.
          args.logits = args.dlogits = dz2.data();
          args.loss = &loss2;
          softmax ? SoftmaxClassification(args, pool_) : SigmoidClassification(args, pool_);
          // A term is a difference of numbers up to 0.01 · 300 in float, whatever is left of it.
          EXPECT_NEAR(loss, loss2, 1e-5 * std::abs(loss) + 0.01 * 300 * 0x1p-24);
          ExpectNear(dz, dz2, 1e-7, "dlogits");
        }
      }
    }
  }
}

TEST(ReferenceGradients, ContrastiveDifferences) {
  const Floats row_smooth(kRows, 2e-3f), column_smooth(kColumns, 3e-3f);
  for (const EqualCaptions equal : {EqualCaptions::kIgnored, EqualCaptions::kPositive}) {
    ContrastiveProblem problem(equal);
    ContrastiveStrip& strip = problem.strip;
    strip.positive_share = 0.9f;
    strip.row_smooth = row_smooth.data();
    strip.column_smooth = column_smooth.data();
    Floats scale = {9};
    Floats row_lse(kRows), rs(kRows), column_lse(kColumns), cs(kColumns), ps(kRows), ss(kRows);
    const auto loss = [&] {
      strip.scale = scale[0];
      ref::ContrastiveStats(
          {strip, row_lse.data(), rs.data(), column_lse.data(), cs.data(), ps.data(), ss.data()});
      SoftmaxLogSum(kRows, row_lse.data(), rs.data(), row_lse.data());
      SoftmaxLogSum(kColumns, column_lse.data(), cs.data(), column_lse.data());
      // Both weights are 1: each row and column once, the positives and the smoothing of both.
      double value = 0;
      for (int i = 0; i < kRows; ++i) {
        const int64_t j = strip.positive[i];
        if (j < 0 || strip.column_valid[j] == 0) continue;
        value += static_cast<double>(row_lse[i]) - 2 * 0.9f * static_cast<double>(ps[i]) - ss[i];
      }
      for (const float lse : column_lse) value += std::isinf(lse) ? 0 : lse;
      return value;
    };
    loss();
    Floats dx(problem.x.size()), dy(problem.y.size());
    double dscale = 0;
    ref::ContrastiveBackward(
        {strip, row_lse.data(), column_lse.data(), 1, 1, dx.data(), dy.data(), &dscale});
    CheckGradient(problem.x, dx, loss, "x");
    CheckGradient(problem.y, dy, loss, "y");
    CheckGradient(scale, {static_cast<float>(dscale)}, loss, "scale");
  }
}

TEST(ReferenceGradients, SigmoidContrastiveDifferences) {
  for (const EqualCaptions equal : {EqualCaptions::kIgnored, EqualCaptions::kPositive}) {
    ContrastiveProblem problem(equal);
    Floats dx(problem.x.size()), dy(problem.y.size()), dx2 = dx, dy2 = dy, bias = {-2};
    double value = 0, ds = 0, db = 0, unused = 0;
    const auto loss = [&] {
      ref::SigmoidContrastive(
          {problem.strip, bias[0], 0.1f, 0.01, dx2.data(), dy2.data(), &value, &unused, &unused});
      return value;
    };
    ref::SigmoidContrastive(
        {problem.strip, bias[0], 0.1f, 0.01, dx.data(), dy.data(), &value, &ds, &db});
    CheckGradient(problem.x, dx, loss, "x");
    CheckGradient(problem.y, dy, loss, "y");
    CheckGradient(bias, {static_cast<float>(db)}, loss, "bias");
  }
}

TEST(ReferenceGradients, ClassificationDifferences) {
  constexpr int kRows = 3, kClasses = 5;
  const std::vector<int32_t> label = {4, 0, 2};
  for (float smoothing : {0.0f, 0.2f}) {
    for (const auto loss_of : {&ref::SoftmaxClassification, &ref::SigmoidClassification}) {
      Floats logits = Random(kRows * kClasses), dlogits(logits.size()), unused(logits.size());
      double value = 0;
      const auto loss = [&] {
        loss_of(
            {kRows, kClasses, logits.data(), label.data(), smoothing, 0.5, unused.data(), &value});
        return value;
      };
      loss_of(
          {kRows, kClasses, logits.data(), label.data(), smoothing, 0.5, dlogits.data(), &value});
      CheckGradient(logits, dlogits, loss, "logits");
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, KernelsTest,
                         testing::ValuesIn(hwy::SupportedAndGeneratedTargets()),
                         [](const auto& info) { return hwy::TargetName(info.param); });

}  // namespace
}  // namespace navit::kernels
