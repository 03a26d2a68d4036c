// The contrastive losses: _cuda against _ref.
#include "kernels/contrastive.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/cuda/contrastive.h"
#include "kernels/cuda/linear.h"
#include "kernels/cuda/sigmoid_contrastive.h"
#include "kernels/cuda/test_device.h"
#include "kernels/cuda/test_values.h"
#include "kernels/sigmoid_contrastive.h"

namespace navit::kernels::cuda {
namespace {

class ContrastiveTest : public DeviceTest {
 protected:
  const std::unique_ptr<LinearEngine> engine = LinearEngine::Create(nullptr, 0);
};

// What a strip is made of, beside its vectors.
struct Case {
  int64_t rows = 0, columns = 0, dim = 8;
  float scale = 10;
  bool invalid = false;  // some rows and columns
  bool hashes = false;   // captions that several share, and unknown ones
  bool equal_are_positive = false;
  float smoothing = 0;
  int64_t chunk = 4096;
};

// Host arrays, and both kinds of strip from them.
struct Problem {
  explicit Problem(const Case& c) : c(c) {
    x = Unit(c.rows, 1);
    y = Unit(c.columns, 2);
    for (int64_t i = 0; i < c.rows; ++i) {
      const int64_t own = i + (c.columns - c.rows) / 2;
      positive.push_back(c.invalid && i % 5 == 3 ? -1 : own);
      // Own captions are near.
      for (int64_t d = 0; d < c.dim; ++d) {
        const float near = 0.8f * y[own * c.dim + d] + 0.6f * x[i * c.dim + d];
        x[i * c.dim + d] = Rounded({near})[0];
      }
    }
    for (int64_t j = 0; j < c.columns; ++j) {
      valid.push_back(c.invalid && j % 7 == 2 ? 0 : 1);
      // 3 and 3 << 32 differ in both halves.
      const uint64_t kHashes[] = {0, 3, uint64_t{3} << 32, 77, 91};
      hash.push_back(j < 10 ? kHashes[j % 5] : 1000 + j / 2 * 17);
      smooth.push_back(c.smoothing / static_cast<float>(c.columns + j % 3));
    }
    for (int64_t i = 0; i < c.rows; ++i) {
      const int64_t own = i + (c.columns - c.rows) / 2;
      row_hash.push_back(hash[own]);
      row_smooth.push_back(smooth[own]);
    }
  }

  Floats Unit(int64_t count, uint32_t seed) const {
    Floats values = RandomFloats(count * c.dim, seed);
    for (int64_t i = 0; i < count; ++i) {
      float sum = 0;
      for (int64_t d = 0; d < c.dim; ++d) sum += values[i * c.dim + d] * values[i * c.dim + d];
      for (int64_t d = 0; d < c.dim; ++d) values[i * c.dim + d] /= std::sqrt(sum);
    }
    return Rounded(values);
  }

  kernels::ContrastiveStrip Reference() const {
    kernels::ContrastiveStrip strip;
    strip.rows = c.rows;
    strip.columns = c.columns;
    strip.dim = c.dim;
    strip.x = x.data();
    strip.y = y.data();
    strip.scale = c.scale;
    strip.positive = positive.data();
    if (c.invalid) strip.column_valid = valid.data();
    if (c.hashes) {
      strip.row_hash = row_hash.data();
      strip.column_hash = hash.data();
    }
    if (c.equal_are_positive) strip.equal_captions = EqualCaptions::kPositive;
    if (c.smoothing > 0) {
      strip.positive_share = 1 - c.smoothing;
      strip.row_smooth = row_smooth.data();
      strip.column_smooth = smooth.data();
    }
    return strip;
  }

  Case c;
  Floats x, y, row_smooth, smooth;
  std::vector<int64_t> positive;
  std::vector<uint8_t> valid;
  std::vector<uint64_t> row_hash, hash;
};

// The arrays of a problem in device memory.
struct DeviceProblem {
  explicit DeviceProblem(const Problem& p)
      : x(ToBf16(p.x)),
        y(ToBf16(p.y)),
        row_smooth(p.row_smooth),
        smooth(p.smooth),
        positive(p.positive),
        valid(p.valid),
        row_hash(p.row_hash),
        hash(p.hash) {
    strip.rows = p.c.rows;
    strip.columns = p.c.columns;
    strip.dim = p.c.dim;
    strip.x = x.data();
    strip.y = y.data();
    strip.scale = p.c.scale;
    strip.positive = positive.data();
    if (p.c.invalid) strip.column_valid = valid.data();
    if (p.c.hashes) {
      strip.row_hash = row_hash.data();
      strip.column_hash = hash.data();
    }
    strip.equal_are_positive = p.c.equal_are_positive;
    if (p.c.smoothing > 0) {
      strip.positive_share = 1 - p.c.smoothing;
      strip.row_smooth = row_smooth.data();
      strip.column_smooth = smooth.data();
    }
    strip.chunk = p.c.chunk;
  }

  DeviceArray<Bf16> x, y;
  DeviceArray<float> row_smooth, smooth;
  DeviceArray<int64_t> positive;
  DeviceArray<uint8_t> valid;
  DeviceArray<uint64_t> row_hash, hash;
  ContrastiveStrip strip;
};

const Case kCases[] = {
    {0, 5},
    {1, 1},
    {1, 1, 8, 10, false, true},
    {9, 30, 24, 100, true, true},
    {130, 150, 40, 20, true, true, true},
    {130, 140, 16, 100, true, true, false, 0.1f, 128},
    {40, 300, 264, 50, false, true, true, 0.2f, 128},
    {300, 310, 8, 30, true, true, true, 0.1f, 128},
};

struct Softmax {
  Floats row_lse, column_lse, positive, smooth, dx, dy;
  double dscale = 0;
};

Floats LogSum(const Floats& max, const Floats& sum) {
  Floats lse(max.size());
  kernels::SoftmaxLogSum(static_cast<int64_t>(max.size()), max.data(), sum.data(), lse.data());
  return lse;
}

Softmax ReferenceSoftmax(const Problem& problem) {
  const kernels::ContrastiveStrip strip = problem.Reference();
  const auto [rows, columns] = std::pair(strip.rows, strip.columns);
  Floats row_max(rows), row_sum(rows), column_max(columns), column_sum(columns);
  Softmax want;
  want.positive.resize(rows);
  want.smooth.resize(rows);
  ref::ContrastiveStats({strip, row_max.data(), row_sum.data(), column_max.data(),
                         column_sum.data(), want.positive.data(), want.smooth.data()});
  want.row_lse = LogSum(row_max, row_sum);
  want.column_lse = LogSum(column_max, column_sum);
  want.dx.resize(problem.x.size());
  want.dy.resize(problem.y.size());
  ref::ContrastiveBackward({strip, want.row_lse.data(), want.column_lse.data(), 0.6f, 0.4f,
                            want.dx.data(), want.dy.data(), &want.dscale});
  return want;
}

// −∞ where the wanted one is, otherwise near.
void ExpectLseClose(const Floats& want, const Floats& got, const char* what) {
  ASSERT_EQ(want.size(), got.size());
  for (size_t i = 0; i < want.size(); ++i) {
    if (std::isinf(want[i])) {
      ASSERT_EQ(want[i], got[i]) << what << "[" << i << "]";
    } else {
      ASSERT_NEAR(want[i], got[i], 1e-4) << what << "[" << i << "]";
    }
  }
}

TEST_F(ContrastiveTest, Softmax) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(testing::Message() << c.rows << "×" << c.columns << "×" << c.dim);
    const Problem problem(c);
    const Softmax want = ReferenceSoftmax(problem);
    const auto got = RunOnDevice([&]() -> std::vector<Floats> {
      const DeviceProblem device(problem);
      const ContrastiveStrip& strip = device.strip;
      const DeviceArray<float> row_max(c.rows), row_sum(c.rows), row_lse(c.rows);
      const DeviceArray<float> column_max(c.columns), column_sum(c.columns), column_lse(c.columns);
      const DeviceArray<float> positive(c.rows), smooth(c.rows);
      const DeviceArray<float> part(c.rows);
      const DeviceBytes stats_workspace(ContrastiveStatsWorkspace(strip));
      EXPECT_TRUE(
          ContrastiveStats({strip, engine.get(), row_max.data(), row_sum.data(), column_max.data(),
                            column_sum.data(), positive.data(), part.data(),
                            c.smoothing > 0 ? smooth.data() : nullptr, stats_workspace.data()},
                           nullptr)
              .ok());
      EXPECT_TRUE(
          SoftmaxLogSum(c.rows, row_max.data(), row_sum.data(), row_lse.data(), nullptr).ok());
      EXPECT_TRUE(
          SoftmaxLogSum(c.columns, column_max.data(), column_sum.data(), column_lse.data(), nullptr)
              .ok());
      const DeviceArray<float> dx(problem.x.size()), dy(problem.y.size());
      const DeviceArray<double> dscale(1);
      const DeviceBytes workspace(ContrastiveGradientWorkspace(strip));
      EXPECT_TRUE(
          ContrastiveBackward({strip, engine.get(), part.data(), row_lse.data(), column_lse.data(),
                               0.6f, 0.4f, dx.data(), dy.data(), dscale.data(), workspace.data()},
                              nullptr)
              .ok());
      return {row_lse.Read(),
              column_lse.Read(),
              positive.Read(),
              c.smoothing > 0 ? smooth.Read() : Floats(c.rows),
              dx.Read(),
              dy.Read(),
              {static_cast<float>(dscale.Read()[0])},
              row_sum.Read(),
              column_sum.Read()};
    });
    for (const Floats& sums : {got[7], got[8]}) {
      for (const float sum : sums) EXPECT_TRUE(sum == 0 || sum >= 0x1p-87f) << sum;
    }
    ExpectLseClose(want.row_lse, got[0], "row_lse");
    ExpectLseClose(want.column_lse, got[1], "column_lse");
    ExpectClose(want.positive, got[2], 1e-4f, 0, "positive");
    ExpectClose(want.smooth, got[3], 1e-4f, 0, "smooth");
    ExpectClose(want.dx, got[4], Largest(want.dx) / 128 + 1e-5f, 0, "dx");
    ExpectClose(want.dy, got[5], Largest(want.dy) / 128 + 1e-5f, 0, "dy");
    ExpectClose({static_cast<float>(want.dscale)}, got[6],
                1e-4f * static_cast<float>(c.rows) + 1e-5f, 0, "dscale");
  }
}

// A score far above all others of its neighbourhood leaves their rows and columns with nothing of
// the shared exponential: these are summed again.
TEST_F(ContrastiveTest, RowsFarBelowTheirNeighboursAreSummedAgain) {
  Case c{20, 20, 8, 150};
  Problem problem(c);
  // Row 0 and column 0 agree; every other pair is opposite.
  for (int64_t i = 0; i < 20; ++i) {
    for (int64_t d = 0; d < 8; ++d) {
      problem.x[i * 8 + d] = d == 0 ? 1 : 0;
      problem.y[i * 8 + d] = d == 0 ? (i == 0 ? 1 : -1) : 0;
      if (i > 0 && d == 1) problem.x[i * 8] = -0.25f;
    }
  }
  const Softmax want = ReferenceSoftmax(problem);
  const auto got = RunOnDevice([&]() -> std::vector<Floats> {
    const DeviceProblem device(problem);
    const DeviceArray<float> row_max(20), row_sum(20), column_max(20), column_sum(20), positive(20);
    const DeviceArray<float> part(20);
    const DeviceBytes workspace(ContrastiveStatsWorkspace(device.strip));
    EXPECT_TRUE(ContrastiveStats(
                    {device.strip, engine.get(), row_max.data(), row_sum.data(), column_max.data(),
                     column_sum.data(), positive.data(), part.data(), nullptr, workspace.data()},
                    nullptr)
                    .ok());
    return {row_max.Read(), row_sum.Read(), column_max.Read(), column_sum.Read()};
  });
  ExpectLseClose(want.row_lse, LogSum(got[0], got[1]), "row_lse");
  ExpectLseClose(want.column_lse, LogSum(got[2], got[3]), "column_lse");
}

TEST_F(ContrastiveTest, RescaleSoftmaxSums) {
  const float none = -INFINITY;
  const Floats before = {none, 1, -3}, after = {none, 2, -3}, sums = {0, 4, 5};
  Floats want = sums;
  kernels::RescaleSoftmaxSums(3, before.data(), after.data(), want.data());
  const auto got = RunOnDevice([&]() -> std::vector<Floats> {
    const DeviceArray<float> old_max(before), new_max(after), sum(sums);
    EXPECT_TRUE(RescaleSoftmaxSums(3, old_max.data(), new_max.data(), sum.data(), nullptr).ok());
    return {sum.Read()};
  });
  ExpectClose(want, got[0], 0, 1e-6f, "sum");
}

TEST_F(ContrastiveTest, Sigmoid) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(testing::Message() << c.rows << "×" << c.columns << "×" << c.dim);
    const Problem problem(c);
    Floats dx(problem.x.size()), dy(problem.y.size());
    double loss = 0, dscale = 0, dbias = 0;
    const double weight = 0.5;
    ref::SigmoidContrastive({problem.Reference(), -3, c.smoothing, weight, dx.data(), dy.data(),
                             &loss, &dscale, &dbias});
    const auto got = RunOnDevice([&]() -> std::vector<Floats> {
      const DeviceProblem device(problem);
      const DeviceArray<float> device_dx(dx.size()), device_dy(dy.size());
      const DeviceArray<double> sums(3);
      const DeviceBytes workspace(ContrastiveGradientWorkspace(device.strip));
      EXPECT_TRUE(SigmoidContrastive({device.strip, engine.get(), -3, c.smoothing, weight,
                                      device_dx.data(), device_dy.data(), sums.data(),
                                      sums.data() + 1, sums.data() + 2, workspace.data()},
                                     nullptr)
                      .ok());
      const std::vector<double> totals = sums.Read();
      return {device_dx.Read(), device_dy.Read(), Floats(totals.begin(), totals.end())};
    });
    ExpectClose(dx, got[0], Largest(dx) / 128, 0, "dx");
    ExpectClose(dy, got[1], Largest(dy) / 128, 0, "dy");
    ExpectClose({static_cast<float>(loss), static_cast<float>(dscale), static_cast<float>(dbias)},
                got[2], 1e-4f, 1e-4f, "loss, dscale, dbias");
  }
}

}  // namespace
}  // namespace navit::kernels::cuda
