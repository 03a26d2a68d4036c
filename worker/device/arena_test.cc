#include "worker/device/arena.h"

#include <cstdint>
#include <cstring>
#include <string>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "worker/device/host_device.h"

namespace navit {
namespace {

class DeviceArenaTest : public testing::Test {
 protected:
  DeviceBuffer Make(size_t bytes) {
    absl::StatusOr<DeviceBuffer> buffer = DeviceBuffer::Make(&device_, bytes);
    EXPECT_TRUE(buffer.ok()) << buffer.status();
    return buffer.ok() ? *std::move(buffer) : DeviceBuffer();
  }
  DeviceMemory memory() { return *device_.memory(); }
  HostArena& arena() { return *device_.arena(); }

  HostDevice device_;
};

TEST_F(DeviceArenaTest, WhatAGrowingBufferLeavesServesOthers) {
  DeviceBuffer grows = Make(600);
  EXPECT_EQ(0u, reinterpret_cast<uintptr_t>(grows.data()) % 256);
  ASSERT_TRUE(GrowBuffer(1000, &device_, &grows).ok());
  EXPECT_EQ(1600u, memory().arena_reserved_bytes);
  EXPECT_EQ(2, arena().reservations());
  const DeviceBuffer other = Make(500);
  EXPECT_EQ(1600u, memory().arena_reserved_bytes) << "the piece that was returned lies idle";
  EXPECT_EQ(2, arena().reservations());
  EXPECT_EQ(3, arena().takes());
  ASSERT_TRUE(GrowBuffer(900, &device_, &grows).ok());
  EXPECT_EQ(3, arena().takes()) << "it is large enough as it is";
}

TEST_F(DeviceArenaTest, MadeAndDroppedAgainReservesNothing) {
  for (int i = 0; i < 5; ++i) {
    const DeviceBuffer one = Make(1000), two = Make(300);
    EXPECT_EQ(2, arena().reservations());
  }
}

TEST_F(DeviceArenaTest, ReportsWhatIsInUseAndWhatWasAtMost) {
  arena().SetLimit(5000);
  const DeviceBuffer stays = Make(100);
  {
    const DeviceBuffer goes = Make(1000);
    EXPECT_EQ(1100u, memory().arena_used_bytes);
    EXPECT_EQ(3900u, memory().free_bytes);
  }
  EXPECT_EQ(100u, memory().arena_used_bytes);
  EXPECT_EQ(1100u, memory().arena_peak_bytes);
  EXPECT_EQ(1100u, memory().arena_reserved_bytes);
  EXPECT_EQ(4900u, memory().free_bytes) << "what the arena holds without use can be taken";
  EXPECT_EQ(5000u, memory().total_bytes);

  ASSERT_TRUE(arena().Trim().ok());
  EXPECT_EQ(100u, memory().arena_reserved_bytes);
  EXPECT_EQ(1100u, memory().arena_peak_bytes);
  ASSERT_TRUE(arena().ResetPeak().ok());
  EXPECT_EQ(100u, memory().arena_peak_bytes);
}

TEST_F(DeviceArenaTest, PiecesThatAreTooSmallEachAreGivenUpForALargeOne) {
  arena().SetLimit(1000);
  { const DeviceBuffer one = Make(500), two = Make(500); }
  EXPECT_EQ(1000u, memory().arena_reserved_bytes);
  const DeviceBuffer large = Make(800);
  EXPECT_EQ(800u, memory().arena_reserved_bytes);
  EXPECT_EQ(1000u, memory().arena_peak_bytes);
}

TEST_F(DeviceArenaTest, WantOfMemorySaysHowMuchThereIsAndHarmsNothing) {
  arena().SetLimit(1000);
  const DeviceBuffer stays = Make(600);
  DeviceBuffer grows = Make(100);
  const absl::Status status = GrowBuffer(450, &device_, &grows);
  EXPECT_EQ(absl::StatusCode::kResourceExhausted, status.code());
  EXPECT_EQ(
      "host memory has no 450 bytes of memory: the trainer uses 600, and 400 of 1000 are free (the "
      "host's limit)",
      status.message());
  EXPECT_EQ(nullptr, grows.data());
  EXPECT_TRUE(GrowBuffer(400, &device_, &grows).ok());
}

TEST_F(DeviceArenaTest, PinnedMemoryIsTheHosts) {
  const DeviceBuffer pinned = *DeviceBuffer::MakePinned(&device_, 1000);
  EXPECT_EQ(0u, memory().arena_used_bytes);
  EXPECT_FALSE(device_.Owns(pinned.data()));
}

#if defined(__SANITIZE_ADDRESS__)
TEST_F(DeviceArenaTest, UseOfAReturnedPieceIsFound) {
  const auto use_late = [this] {
    DeviceBuffer buffer = Make(100);
    void* const piece = buffer.data();
    buffer = DeviceBuffer();
    const DeviceBuffer next = Make(100);
    std::memset(piece, 0, 100);
  };
  EXPECT_DEATH(use_late(), "heap-use-after-free");
}
#endif

}  // namespace
}  // namespace navit
