// NCCL itself, as far as it goes without a GPU; skipped where it is not installed.
#include "worker/nccl/nccl_library.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>

namespace navit {
namespace {

TEST(NcclLibraryTest, IsLoadedAndDrawsFreshIds) {
  const absl::StatusOr<NcclApi*> nccl = LoadNccl();
  if (!nccl.ok()) {
    EXPECT_TRUE(absl::IsNotFound(nccl.status())) << nccl.status();
    EXPECT_THAT(std::string(nccl.status().message()), testing::HasSubstr("libnccl.so.2"));
    GTEST_SKIP() << nccl.status().message();
  }
  NcclUniqueId first = {}, second = {};
  ASSERT_EQ((*nccl)->GetUniqueId(&first), NcclResult::kSuccess);
  ASSERT_EQ((*nccl)->GetUniqueId(&second), NcclResult::kSuccess);
  EXPECT_NE(std::memcmp(first.bytes, second.bytes, sizeof(first.bytes)), 0);
}

}  // namespace
}  // namespace navit
