#include "worker/device/peak_flops.h"

#include "gtest/gtest.h"

namespace navit {
namespace {

TEST(DevicePeakFlops, ByTheNamesThatDriversGive) {
  EXPECT_EQ(989.4e12, DevicePeakFlops("NVIDIA H100 80GB HBM3"));
  EXPECT_EQ(756e12, DevicePeakFlops("NVIDIA H100 PCIe"));
  EXPECT_EQ(835.5e12, DevicePeakFlops("NVIDIA H100 NVL"));
  EXPECT_EQ(989.4e12, DevicePeakFlops("NVIDIA H200"));
  EXPECT_EQ(312e12, DevicePeakFlops("NVIDIA A100-SXM4-80GB"));
  EXPECT_EQ(312e12, DevicePeakFlops("A100-SXM4-40GB"));
  EXPECT_EQ(121e12, DevicePeakFlops("NVIDIA L4"));
  EXPECT_EQ(181.05e12, DevicePeakFlops("NVIDIA L40"));
  EXPECT_EQ(362.05e12, DevicePeakFlops("NVIDIA L40S"));
  EXPECT_EQ(2250e12, DevicePeakFlops("NVIDIA B200"));
}

TEST(DevicePeakFlops, NoneForWhatIsNotKnown) {
  EXPECT_EQ(std::nullopt, DevicePeakFlops("NVIDIA GeForce GTX 970"));
  EXPECT_EQ(std::nullopt, DevicePeakFlops("NVIDIA L400"));
  EXPECT_EQ(std::nullopt, DevicePeakFlops("NVIDIA H100 80GB HBM3 MIG 1g.10gb"));
  EXPECT_EQ(std::nullopt, DevicePeakFlops("host memory"));
}

}  // namespace
}  // namespace navit
