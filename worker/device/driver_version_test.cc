#include "worker/device/driver_version.h"

#include "gtest/gtest.h"

namespace navit {
namespace {

TEST(DriverVersion, OfCuda13AndNewer) {
  EXPECT_TRUE(CheckDriverVersion(13000).ok());
  EXPECT_TRUE(CheckDriverVersion(13010).ok());
  EXPECT_TRUE(CheckDriverVersion(14000).ok());
}

TEST(DriverVersion, AnOldOneIsToldWithBothVersions) {
  const absl::Status status = CheckDriverVersion(12090);
  EXPECT_EQ(absl::StatusCode::kFailedPrecondition, status.code());
  EXPECT_EQ(
      "the NVIDIA driver of this machine is too old: it knows CUDA up to 12.9; needed is CUDA "
      "13.0, which is driver 580 or newer",
      status.message());
}

TEST(DriverVersion, NoDriver) {
  EXPECT_EQ(absl::StatusCode::kNotFound, CheckDriverVersion(0).code());
}

}  // namespace
}  // namespace navit
