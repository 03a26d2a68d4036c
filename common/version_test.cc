#include "common/version.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace navit {
namespace {

using ::testing::HasSubstr;

absl::Status Check(const char* version) {
  return CheckPeerVersion("navit-packer", version, "1.3.1", "1.2");
}

TEST(VersionTest, ACoordinatorWorksWithItsReleaseAndTheOneBefore) {
  for (const char* version : {"1.3.1", "1.3.0", "1.3.9", "1.2.0", "1.2.44"}) {
    EXPECT_TRUE(Check(version).ok()) << version;
  }
}

TEST(VersionTest, ANewerPeerWaitsForTheCoordinator) {
  for (const char* version : {"1.4.0", "2.0.0"}) {
    const absl::Status status = Check(version);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(status.message()),
                HasSubstr(std::string("navit-packer ") + version +
                          " is newer than the coordinator, which is 1.3.1: upgrade the "
                          "coordinator first"));
  }
}

TEST(VersionTest, AnOlderPeerIsToldWhichReleasesWork) {
  for (const char* version : {"1.1.7", "0.9.0"}) {
    const absl::Status status = Check(version);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(status.message()), HasSubstr("works with releases 1.2 and 1.3"));
  }
}

TEST(VersionTest, TheReleaseBeforeMayHaveAnotherMajorNumber) {
  EXPECT_TRUE(CheckPeerVersion("navitctl", "0.9.4", "1.0.0", "0.9").ok());
  EXPECT_FALSE(CheckPeerVersion("navitctl", "0.8.0", "1.0.0", "0.9").ok());
}

TEST(VersionTest, WhatIsNoVersionIsNamed) {
  for (const char* version : {"", "1", "x.y.z"}) {
    const absl::Status status = Check(version);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr("version: must be MAJOR.MINOR.PATCH"));
  }
}

TEST(VersionTest, ThisBuildWorksWithItself) {
  EXPECT_TRUE(CheckPeerVersion("navitctl", Version()).ok());
}

}  // namespace
}  // namespace navit
