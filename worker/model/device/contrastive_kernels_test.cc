// Strips on a device, the host twin or a GPU, against those of the CPU.
#include "worker/model/device/contrastive_kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "worker/model/device/test_machine.h"

namespace navit {
namespace {

constexpr int64_t kDim = 24, kColumns = 11;

class DeviceContrastiveKernelsTest : public MachineTest {
 protected:
  DeviceContrastiveKernelsTest() {
    std::mt19937 draw(5);
    std::normal_distribution<float> normal(0, 1 / std::sqrt(static_cast<float>(kDim)));
    // Numbers that bf16 holds, as the towers' outputs are.
    for (float& value : features_) {
      value = kernels::cuda::Bf16ToFloat(kernels::cuda::FloatToBf16(normal(draw)));
    }
  }

  // The last `rows` of the columns' examples are this rank's.
  kernels::ContrastiveStrip Strip(int64_t rows, int64_t dim = kDim) {
    kernels::ContrastiveStrip strip;
    strip.rows = rows;
    strip.columns = kColumns;
    strip.dim = dim;
    strip.x = features_.data();
    strip.y = features_.data() + kColumns * kDim;
    strip.scale = 8;
    for (int64_t i = 0; i < rows; ++i) positive_[i] = kColumns - rows + i;
    strip.positive = positive_.data();
    strip.row_hash = hashes_.data() + kColumns - rows;
    strip.column_hash = hashes_.data();
    return strip;
  }

  struct Softmax {
    Softmax(int64_t rows, int64_t dim)
        : row_lse(rows),
          column_lse(kColumns),
          positive(rows),
          smooth(rows),
          dx(rows * dim),
          dy(kColumns * dim) {}
    std::vector<float> row_lse, column_lse, positive, smooth, dx, dy;
    double dscale = 0;
  };
  static Softmax RunSoftmax(const kernels::ContrastiveStrip& strip, ContrastiveKernels& kernels) {
    Softmax result(strip.rows, strip.dim);
    std::vector<float> row_max(strip.rows), column_max(strip.columns);
    EXPECT_TRUE(kernels
                    .Stats({.strip = strip,
                            .row_max = row_max.data(),
                            .row_sum = result.row_lse.data(),
                            .column_max = column_max.data(),
                            .column_sum = result.column_lse.data(),
                            .positive_score = result.positive.data(),
                            .smooth_score = strip.row_smooth ? result.smooth.data() : nullptr})
                    .ok());
    kernels::SoftmaxLogSum(strip.rows, row_max.data(), result.row_lse.data(),
                           result.row_lse.data());
    kernels::SoftmaxLogSum(strip.columns, column_max.data(), result.column_lse.data(),
                           result.column_lse.data());
    EXPECT_TRUE(kernels
                    .Backward({.strip = strip,
                               .row_lse = result.row_lse.data(),
                               .column_lse = result.column_lse.data(),
                               .row_weight = 0.125f,
                               .column_weight = 0.25f,
                               .dx = result.dx.data(),
                               .dy = result.dy.data(),
                               .dscale = &result.dscale})
                    .ok());
    return result;
  }

  static void ExpectClose(const std::vector<float>& want, const std::vector<float>& got,
                          double tolerance) {
    ASSERT_EQ(want.size(), got.size());
    float largest = 0;
    for (const float value : want) {
      if (std::isfinite(value)) largest = std::max(largest, std::abs(value));
    }
    for (size_t i = 0; i < want.size(); ++i) {
      if (want[i] == got[i]) continue;  // Also where both are −∞.
      EXPECT_NEAR(want[i], got[i], tolerance * largest) << i;
    }
  }

  std::vector<float> features_ = std::vector<float>(2 * kColumns * kDim);
  std::vector<int64_t> positive_ = std::vector<int64_t>(kColumns);
  // The third and the last caption are the same; the fifth is unknown.
  std::vector<uint64_t> hashes_ = {1, 2, 77, 4, 0, 6, 7, 8, 9, 10, 77};
  std::vector<float> smooth_ = std::vector<float>(kColumns, 0.01f);

  kernels::ThreadPool pool_{1};
  CpuContrastiveKernels cpu_{&pool_};
};

TEST_F(DeviceContrastiveKernelsTest, SoftmaxIsThatOfTheCpu) {
  DeviceContext context(device(), nullptr, engine(), nullptr, nullptr);
  DeviceContrastiveKernels on_device(&context);
  for (const int64_t rows : {kColumns, int64_t{4}, int64_t{0}}) {
    for (const bool smooth : {false, true}) {
      for (const auto equal :
           {kernels::EqualCaptions::kIgnored, kernels::EqualCaptions::kPositive}) {
        kernels::ContrastiveStrip strip = Strip(rows);
        strip.equal_captions = equal;
        if (smooth) {
          strip.row_smooth = strip.column_smooth = smooth_.data();
          strip.positive_share = 0.9f;
        }
        const Softmax want = RunSoftmax(strip, cpu_), got = RunSoftmax(strip, on_device);
        ExpectClose(want.row_lse, got.row_lse, 1e-4);
        ExpectClose(want.column_lse, got.column_lse, 1e-4);
        ExpectClose(want.positive, got.positive, 1e-4);
        ExpectClose(want.smooth, got.smooth, 1e-4);
        ExpectClose(want.dx, got.dx, 1.0 / 128);
        ExpectClose(want.dy, got.dy, 1.0 / 128);
        EXPECT_NEAR(want.dscale, got.dscale, 1e-4);
      }
    }
  }
}

// Rows of no whole 16-byte units.
TEST_F(DeviceContrastiveKernelsTest, OddDim) {
  DeviceContext context(device(), nullptr, engine(), nullptr, nullptr);
  DeviceContrastiveKernels on_device(&context);
  const kernels::ContrastiveStrip strip = Strip(4, 21);
  const Softmax want = RunSoftmax(strip, cpu_), got = RunSoftmax(strip, on_device);
  ExpectClose(want.row_lse, got.row_lse, 1e-4);
  ExpectClose(want.dx, got.dx, 1.0 / 128);
  ExpectClose(want.dy, got.dy, 1.0 / 128);
}

TEST_F(DeviceContrastiveKernelsTest, SigmoidIsThatOfTheCpu) {
  DeviceContext context(device(), nullptr, engine(), nullptr, nullptr);
  DeviceContrastiveKernels on_device(&context);
  for (const int64_t rows : {kColumns, int64_t{4}, int64_t{0}}) {
    struct Result {
      std::vector<float> dx, dy = std::vector<float>(kColumns * kDim);
      double loss = 0, dscale = 0, dbias = 0;
    } results[2];
    ContrastiveKernels* const kernels[] = {&cpu_, &on_device};
    for (int i = 0; i < 2; ++i) {
      results[i].dx.resize(rows * kDim);
      ASSERT_TRUE(kernels[i]
                      ->Sigmoid({.strip = Strip(rows),
                                 .bias = -3,
                                 .smoothing = 0.1f,
                                 .weight = 0.1,
                                 .dx = results[i].dx.data(),
                                 .dy = results[i].dy.data(),
                                 .loss = &results[i].loss,
                                 .dscale = &results[i].dscale,
                                 .dbias = &results[i].dbias})
                      .ok());
    }
    ExpectClose(results[0].dx, results[1].dx, 1.0 / 128);
    ExpectClose(results[0].dy, results[1].dy, 1.0 / 128);
    EXPECT_NEAR(results[0].loss, results[1].loss, 1e-4 * results[0].loss);
    EXPECT_NEAR(results[0].dscale, results[1].dscale, 1e-3);
    EXPECT_NEAR(results[0].dbias, results[1].dbias, 1e-3);
  }
}

}  // namespace
}  // namespace navit
