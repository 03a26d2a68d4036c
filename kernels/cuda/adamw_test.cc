// The optimizer: _cuda against _ref.
#include "kernels/adamw.h"

#include <cmath>
#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/cuda/adamw.h"
#include "kernels/cuda/ema.h"
#include "kernels/cuda/test_device.h"
#include "kernels/cuda/test_values.h"
#include "kernels/ema.h"

namespace navit::kernels::cuda {
namespace {

class AdamWTest : public DeviceTest {};

// Ranges of odd lengths, none among them, a whole number of pieces and more, at odd places, with
// rates and decays of their own; what lies between them is frozen.
const std::vector<AdamWRange> kRanges = {
    {0, 1, 1, 0.1},          {1, 1, 5, 5},       {1, 700, 0.25, 0},
    {703, 704, 1, 0.1},      {704, 960, 1, 0},   {960, 960 + kAdamWPiece, 0.5, 0.03},
    {5056, 5061, 0, 0.1},    {5064, 5321, 2, 3}, {5400, 5400 + 2 * kAdamWPiece + 33, 1, 0.1},
    {13700, 13731, 0.75, 1},
};
constexpr int64_t kCount = 13740;

TEST(MakeAdamWPieces, CoverTheRanges) {
  const std::vector<AdamWPiece> pieces = MakeAdamWPieces(kRanges);
  size_t at = 0;
  for (const AdamWRange& range : kRanges) {
    for (int64_t begin = range.begin; begin < range.end; ++at) {
      ASSERT_LT(at, pieces.size());
      EXPECT_EQ(begin, pieces[at].begin);
      EXPECT_GT(pieces[at].count, 0);
      EXPECT_LE(pieces[at].count, kAdamWPiece);
      EXPECT_EQ(static_cast<float>(range.lr_scale), pieces[at].lr_scale);
      EXPECT_EQ(static_cast<float>(range.weight_decay), pieces[at].weight_decay);
      begin += pieces[at].count;
      EXPECT_LE(begin, range.end);
    }
  }
  EXPECT_EQ(pieces.size(), at);
}

TEST_F(AdamWTest, ThreeStepsOfManyRanges) {
  const Floats start = RandomFloats(kCount, 1);
  Floats param = start, m(kCount), v(kCount);
  const auto gradient = [](int64_t step) { return RandomFloats(kCount, 10 + step); };
  for (int64_t step = 1; step <= 3; ++step) {
    const Floats grad = gradient(step);
    for (const AdamWRange& range : kRanges) {
      const int64_t at = range.begin;
      ref::AdamW({range.end - at, &param[at], &grad[at], &m[at], &v[at], step,
                  0.01 * range.lr_scale, 0.9, 0.95, 1e-8, range.weight_decay, 0.5});
    }
  }
  const std::vector<Bf16> before(kCount, FloatToBf16(7));
  const auto got = RunOnDevice([&]() -> std::vector<Floats> {
    const DeviceArray<AdamWPiece> pieces(MakeAdamWPieces(kRanges));
    const DeviceArray<float> device_param(start), device_m((Floats(kCount))),
        device_v((Floats(kCount))), scale(Floats{0.5f});
    const DeviceArray<Bf16> weight(before);
    for (int64_t step = 1; step <= 3; ++step) {
      const DeviceArray<float> grad(gradient(step));
      const auto count = static_cast<int64_t>(MakeAdamWPieces(kRanges).size());
      EXPECT_TRUE(AdamW({count, pieces.data(), device_param.data(), grad.data(), device_m.data(),
                         device_v.data(), weight.data(), step, 0.01, 0.9, 0.95, 1e-8, scale.data()},
                        nullptr)
                      .ok());
    }
    return {device_param.Read(), device_m.Read(), device_v.Read(), ToFloats(weight.Read())};
  });
  ExpectClose(param, got[0], 1e-6f, 1e-6f, "param");
  ExpectClose(m, got[1], 1e-7f, 1e-5f, "m");
  ExpectClose(v, got[2], 1e-7f, 1e-5f, "v");
  Floats weight(kCount, 7);
  for (const AdamWRange& range : kRanges) {
    for (int64_t i = range.begin; i < range.end; ++i) weight[i] = Rounded({got[0][i]})[0];
  }
  EXPECT_EQ(weight, got[3]);
  // Frozen to the bit.
  for (const int64_t i : {int64_t{700}, int64_t{702}, int64_t{5061}, int64_t{5321}, kCount - 1}) {
    EXPECT_EQ(start[i], got[0][i]) << i;
  }
}

TEST_F(AdamWTest, NoRange) {
  EXPECT_TRUE(MakeAdamWPieces({}).empty());
  EXPECT_TRUE(AdamW({}, nullptr).ok());
}

TEST_F(AdamWTest, GradientNormAndClipping) {
  const auto norm_and_scale = [](const Floats& grad, float max_norm) {
    return RunOnDevice([&]() -> std::vector<Floats> {
      const DeviceArray<float> device_grad(grad), norm(1), scale(1);
      const DeviceArray<double> partial(kGradientNormBlocks);
      EXPECT_TRUE(GradientNorm({static_cast<int64_t>(grad.size()), device_grad.data(), max_norm,
                                partial.data(), norm.data(), scale.data()},
                               nullptr)
                      .ok());
      return {norm.Read(), scale.Read()};
    });
  };
  const Floats grad = RandomFloats(1000, 1);
  const auto norm = static_cast<float>(std::sqrt(ref::SumSquares(grad.data(), 1000)));
  auto got = norm_and_scale(grad, 1);
  EXPECT_NEAR(norm, got[0][0], norm * 1e-6f);
  EXPECT_NEAR(1 / norm, got[1][0], 1e-6f);
  EXPECT_EQ(1, norm_and_scale(grad, 1000)[1][0]);
  EXPECT_EQ(1, norm_and_scale({}, 1)[1][0]);
  EXPECT_TRUE(std::isnan(norm_and_scale({1, std::numeric_limits<float>::infinity()}, 1)[1][0]));
}

TEST_F(AdamWTest, Ema) {
  for (const int64_t count : {0, 1, 700}) {
    Floats average = RandomFloats(count, 1);
    Floats value = RandomFloats(count, 2);
    const Floats before = average;
    if (count > 0) value[0] = average[0];  // stays exactly
    ref::Ema({count, 0.999, value.data(), average.data()});
    const auto got = RunOnDevice([&]() -> std::vector<Floats> {
      const DeviceArray<float> device_value(value), device_average(before);
      EXPECT_TRUE(Ema({count, 0.999, device_value.data(), device_average.data()}, nullptr).ok());
      return {device_average.Read()};
    });
    ExpectClose(average, got[0], 1e-7f, 1e-6f, "average");
    if (count > 0) {
      EXPECT_EQ(before[0], got[0][0]);
    }
  }
}

}  // namespace
}  // namespace navit::kernels::cuda
