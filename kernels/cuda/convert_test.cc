// Rounding on the device against that of the host.
#include "kernels/cuda/convert.h"

#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/cuda/test_device.h"
#include "kernels/cuda/test_values.h"

namespace navit::kernels::cuda {
namespace {

class ConvertTest : public DeviceTest {};

TEST_F(ConvertTest, RoundsAsTheHostDoes) {
  for (const int64_t count : {0, 1, 8, 2049, 4096}) {
    Floats from = RandomFloats(count, 1);
    if (count > 4) {
      from[0] = std::numeric_limits<float>::infinity();
      from[1] = -0.0f;
      from[2] = 1 + 1.0f / 256;  // halfway, to even
      from[3] = 1e-40f;
    }
    const auto got = RunOnDevice([&]() -> std::vector<Floats> {
      const DeviceArray<float> device_from(from);
      const DeviceArray<Bf16> to(count);
      EXPECT_TRUE(Round({count, device_from.data(), to.data()}, nullptr).ok());
      return {ToFloats(to.Read())};
    });
    EXPECT_EQ(Rounded(from), got[0]);
  }
}

}  // namespace
}  // namespace navit::kernels::cuda
