#include "worker/model/device/twin_device.h"

#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/cuda/convert.h"
#include "kernels/cuda/host_twin/memory.h"

namespace navit {
namespace {

namespace cuda = kernels::cuda;

class TwinDeviceTest : public testing::Test {
 protected:
  static constexpr int64_t kCount = 64;

  TwinDeviceTest() { cuda::twin::TakeFindings(); }
  // What a kernel does wrong that writes `to`.
  int64_t Findings(const DeviceBuffer& from, void* to) {
    EXPECT_TRUE(device_.FillZero(from.data(), from.bytes(), stream_.get()).ok());
    const cuda::RoundArgs args = {kCount, static_cast<float*>(from.data()),
                                  static_cast<cuda::Bf16*>(to)};
    EXPECT_TRUE(cuda::Round(args, stream_.get()).ok());
    EXPECT_TRUE(device_.Synchronize(stream_.get()).ok());
    return cuda::twin::TakeFindings().count;
  }

  TwinDevice device_;
  const OwnedStream stream_ = *OwnedStream::Make(&device_);
};

TEST_F(TwinDeviceTest, AKernelThatUsesAReturnedPieceIsFound) {
  const DeviceBuffer from = *DeviceBuffer::Make(&device_, kCount * sizeof(float));
  DeviceBuffer to = *DeviceBuffer::Make(&device_, kCount * sizeof(cuda::Bf16));
  void* const piece = to.data();
  EXPECT_EQ(0, Findings(from, piece));
  to = DeviceBuffer();
  EXPECT_GT(Findings(from, piece), 0);
}

// What a kernel of the former owner left there is as good as nothing.
TEST_F(TwinDeviceTest, APieceThatIsTakenAgainHoldsNothing) {
  DeviceBuffer from = *DeviceBuffer::Make(&device_, kCount * sizeof(float));
  DeviceBuffer to = *DeviceBuffer::Make(&device_, kCount * sizeof(cuda::Bf16));
  EXPECT_EQ(0, Findings(from, to.data()));
  from = DeviceBuffer();
  from = *DeviceBuffer::Make(&device_, kCount * sizeof(float));
  EXPECT_EQ(2, device_.arena()->reservations());
  const cuda::RoundArgs args = {kCount, static_cast<float*>(from.data()),
                                static_cast<cuda::Bf16*>(to.data())};
  EXPECT_TRUE(cuda::Round(args, stream_.get()).ok());
  EXPECT_TRUE(device_.Synchronize(stream_.get()).ok());
  EXPECT_GT(cuda::twin::TakeFindings().count, 0);
}

TEST_F(TwinDeviceTest, WhatIsQueuedUsesAPieceBeforeItIsReturned) {
  TwinDevice late(/*seed=*/0);
  const OwnedStream stream = *OwnedStream::Make(&late);
  bool done = false;
  DeviceBuffer buffer = *DeviceBuffer::Make(&late, 100);
  ASSERT_TRUE(late.FillZero(buffer.data(), 100, stream.get()).ok());
  ASSERT_TRUE(
      late.CallOnHost([](void* set) { *static_cast<bool*>(set) = true; }, &done, stream.get())
          .ok());
  EXPECT_FALSE(done);
  buffer = DeviceBuffer();
  EXPECT_TRUE(done);
}

}  // namespace
}  // namespace navit
