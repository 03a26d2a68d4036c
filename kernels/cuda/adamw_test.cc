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

TEST_F(AdamWTest, ThreeSteps) {
  for (const int64_t count : {0, 1, 700}) {
    Floats param = RandomFloats(count, 1), m(count), v(count);
    const Floats start = param;
    const auto gradient = [&](int64_t step) { return RandomFloats(count, 10 + step); };
    for (int64_t step = 1; step <= 3; ++step) {
      const Floats grad = gradient(step);
      ref::AdamW({count, param.data(), grad.data(), m.data(), v.data(), step, 0.01, 0.9, 0.95, 1e-8,
                  0.1, 0.5});
    }
    const auto got = RunOnDevice([&]() -> std::vector<Floats> {
      const DeviceArray<float> device_param(start), device_m((Floats(count))),
          device_v((Floats(count))), scale(Floats{0.5f});
      const DeviceArray<Bf16> weight(count);
      for (int64_t step = 1; step <= 3; ++step) {
        const DeviceArray<float> grad(gradient(step));
        EXPECT_TRUE(
            AdamW({count, device_param.data(), grad.data(), device_m.data(), device_v.data(),
                   weight.data(), step, 0.01, 0.9, 0.95, 1e-8, 0.1, scale.data()},
                  nullptr)
                .ok());
      }
      return {device_param.Read(), device_m.Read(), device_v.Read(), ToFloats(weight.Read())};
    });
    ExpectClose(param, got[0], 1e-6f, 1e-6f, "param");
    ExpectClose(m, got[1], 1e-7f, 1e-5f, "m");
    ExpectClose(v, got[2], 1e-7f, 1e-5f, "v");
    EXPECT_EQ(Rounded(got[0]), got[3]);
  }
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
