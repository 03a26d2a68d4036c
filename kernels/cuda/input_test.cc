// What makes the first activations of a tower: _cuda against _ref.
#include <cmath>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/cuda/patch_normalize.h"
#include "kernels/cuda/test_device.h"
#include "kernels/patch_normalize.h"

namespace navit::kernels::cuda {
namespace {

class InputTest : public DeviceTest {};

TEST_F(InputTest, PatchNormalize) {
  std::mt19937 random(1);
  for (const int64_t tokens : {0, 1, 5, 300}) {
    for (const int64_t values : {3, 27, 192}) {
      std::vector<uint8_t> x(tokens * values);
      for (uint8_t& byte : x) byte = static_cast<uint8_t>(random());
      Floats want(x.size());
      kernels::PatchNormalizeArgs reference{
          tokens, values, x.data(), {0.48f, 0.45f, 0.4f}, {0.26f, 0.5f, 0.27f}, want.data()};
      ref::PatchNormalize(reference);
      const Floats got = RunOnDevice([&]() -> std::vector<Floats> {
        const DeviceArray<uint8_t> dx(x);
        const DeviceArray<Bf16> y(x.size());
        const PatchNormalizeArgs args{
            tokens, values, dx.data(), {0.48f, 0.45f, 0.4f}, {0.26f, 0.5f, 0.27f}, y.data()};
        EXPECT_TRUE(PatchNormalize(args, nullptr).ok());
        return {ToFloats(y.Read())};
      })[0];
      for (size_t i = 0; i < want.size(); ++i) {
        ASSERT_NEAR(want[i], got[i], std::abs(want[i]) / 128 + 1e-6) << i;
      }
    }
  }
}

}  // namespace
}  // namespace navit::kernels::cuda
