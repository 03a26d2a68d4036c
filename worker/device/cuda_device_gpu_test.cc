#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "kernels/cuda/test_device.h"
#include "worker/device/cuda_device.h"

namespace navit {
namespace {

// On every machine: this one has a GPU or it is said what is missing.
TEST(OpenCudaDevice, OpensOrSaysWhyNot) {
  const auto device = OpenCudaDevice(0);
  if (device.ok()) {
    EXPECT_NE("", (*device)->name());
    const absl::StatusOr<int> count = CountCudaDevices();
    ASSERT_TRUE(count.ok()) << count.status();
    EXPECT_GE(*count, 1);
    EXPECT_EQ(absl::StatusCode::kNotFound, OpenCudaDevice(*count).status().code());
  } else {
    EXPECT_NE("", kernels::cuda::WhyNoDevice()) << device.status();
    EXPECT_TRUE(absl::IsNotFound(device.status()) || absl::IsFailedPrecondition(device.status()))
        << device.status();
  }
}

class CudaDeviceTest : public kernels::cuda::DeviceTest {
 protected:
  void SetUp() override {
    DeviceTest::SetUp();
    if (IsSkipped()) return;
    device_ = *OpenCudaDevice(0);
    stream_ = *device_->CreateStream();
  }
  void TearDown() override {
    if (device_ != nullptr) device_->DestroyStream(stream_);
  }

  std::unique_ptr<Device> device_;
  DeviceStream stream_ = nullptr;
};

TEST_F(CudaDeviceTest, BytesGoThereAndBack) {
  const DeviceBuffer there = *DeviceBuffer::Make(device_.get(), 1000);
  const DeviceBuffer pinned = *DeviceBuffer::MakePinned(device_.get(), 1000);
  EXPECT_EQ(0u, reinterpret_cast<uintptr_t>(there.data()) % 256);
  EXPECT_TRUE(device_->Owns(there.data()));
  EXPECT_FALSE(device_->Owns(pinned.data()));
  std::vector<char> here(1000, 'a');
  EXPECT_FALSE(device_->Owns(here.data()));
  ASSERT_TRUE(device_->Copy(there.data(), here.data(), 1000, stream_).ok());
  ASSERT_TRUE(device_->FillZero(there.data(), 10, stream_).ok());
  ASSERT_TRUE(device_->Copy(pinned.data(), there.data(), 1000, stream_).ok());
  ASSERT_TRUE(device_->Synchronize(stream_).ok());
  EXPECT_TRUE(*device_->Idle(stream_));
  std::fill(here.begin(), here.begin() + 10, '\0');
  EXPECT_TRUE(std::equal(here.begin(), here.end(), static_cast<char*>(pinned.data())));
}

TEST_F(CudaDeviceTest, TheHostIsCalledInOrder) {
  const DeviceBuffer there = *DeviceBuffer::Make(device_.get(), 4);
  const DeviceBuffer pinned = *DeviceBuffer::MakePinned(device_.get(), 4);
  const int value = 7;
  struct Seen {
    const int* at;
    int value;
  } seen{static_cast<int*>(pinned.data()), 0};
  ASSERT_TRUE(device_->Copy(there.data(), &value, 4, stream_).ok());
  ASSERT_TRUE(device_->Copy(pinned.data(), there.data(), 4, stream_).ok());
  const auto look = [](void* argument) {
    static_cast<Seen*>(argument)->value = *static_cast<Seen*>(argument)->at;
  };
  ASSERT_TRUE(device_->CallOnHost(look, &seen, stream_).ok());
  ASSERT_TRUE(device_->Synchronize(stream_).ok());
  EXPECT_EQ(7, seen.value);
}

TEST_F(CudaDeviceTest, AnEventOrdersTwoStreams) {
  // Long enough for the other stream to be ahead where nothing orders them.
  constexpr size_t kBytes = size_t{64} << 20;
  const DeviceBuffer there = *DeviceBuffer::Make(device_.get(), kBytes);
  const DeviceBuffer from = *DeviceBuffer::MakePinned(device_.get(), kBytes);
  const DeviceBuffer to = *DeviceBuffer::MakePinned(device_.get(), kBytes);
  std::fill_n(static_cast<char*>(from.data()), kBytes, 'a');
  const OwnedStream other = *OwnedStream::Make(device_.get());
  const OwnedEvent event = *OwnedEvent::Make(device_.get());
  ASSERT_TRUE(device_->Wait(event.get(), other.get()).ok()) << "never recorded";
  ASSERT_TRUE(device_->Await(event.get()).ok());
  ASSERT_TRUE(device_->Copy(there.data(), from.data(), kBytes, stream_).ok());
  ASSERT_TRUE(device_->Record(event.get(), stream_).ok());
  ASSERT_TRUE(device_->Wait(event.get(), other.get()).ok());
  ASSERT_TRUE(device_->Copy(to.data(), there.data(), kBytes, other.get()).ok());
  ASSERT_TRUE(device_->Record(event.get(), other.get()).ok());
  ASSERT_TRUE(device_->Await(event.get()).ok());
  const char* const got = static_cast<const char*>(to.data());
  EXPECT_EQ(static_cast<long>(kBytes), std::count(got, got + kBytes, 'a'));
}

TEST_F(CudaDeviceTest, TooLittleMemoryIsToldAndHarmsNothing) {
  const auto memory = device_->memory();
  ASSERT_TRUE(memory.ok());
  EXPECT_GT(memory->free_bytes, 0u);
  EXPECT_LE(memory->free_bytes, memory->total_bytes);
  const auto none = DeviceBuffer::Make(device_.get(), memory->total_bytes * 2);
  EXPECT_EQ(absl::StatusCode::kResourceExhausted, none.status().code());
  EXPECT_TRUE(absl::StrContains(none.status().message(),
                                absl::StrCat("no ", memory->total_bytes * 2, " bytes")))
      << none.status();
  EXPECT_TRUE(DeviceBuffer::Make(device_.get(), 1000).ok());
}

TEST_F(CudaDeviceTest, TheArenaKeepsWhatComesBackUntilItIsTrimmed) {
  constexpr size_t kBytes = size_t{64} << 20;
  const auto memory = [this] { return *device_->memory(); };
  ASSERT_EQ(0u, memory().arena_used_bytes);
  DeviceBuffer large = *DeviceBuffer::Make(device_.get(), kBytes);
  const size_t reserved = memory().arena_reserved_bytes;
  EXPECT_GE(reserved, kBytes);
  EXPECT_GE(memory().arena_used_bytes, kBytes);
  large = DeviceBuffer();
  EXPECT_EQ(0u, memory().arena_used_bytes);
  EXPECT_GE(memory().arena_peak_bytes, kBytes);
  for (int i = 0; i < 5; ++i) {
    const DeviceBuffer one = *DeviceBuffer::Make(device_.get(), kBytes / 2);
    const DeviceBuffer two = *DeviceBuffer::Make(device_.get(), kBytes / 4);
    EXPECT_EQ(reserved, memory().arena_reserved_bytes) << "the driver was asked again";
  }
  ASSERT_TRUE(device_->arena()->Trim().ok());
  EXPECT_EQ(0u, memory().arena_reserved_bytes);
  EXPECT_GE(memory().arena_peak_bytes, kBytes);
  ASSERT_TRUE(device_->arena()->ResetPeak().ok());
  EXPECT_EQ(0u, memory().arena_peak_bytes);
}

// A piece whose stream is busy, and gone, when it is returned: who takes it next writes after that.
TEST_F(CudaDeviceTest, AReturnedPieceIsInNobodysUse) {
  constexpr size_t kBytes = size_t{64} << 20;
  const DeviceBuffer ones = *DeviceBuffer::MakePinned(device_.get(), kBytes);
  const DeviceBuffer seen = *DeviceBuffer::MakePinned(device_.get(), kBytes);
  std::fill_n(static_cast<char*>(ones.data()), kBytes, 'a');
  DeviceBuffer first = *DeviceBuffer::Make(device_.get(), kBytes);
  {
    const OwnedStream other = *OwnedStream::Make(device_.get());
    for (int i = 0; i < 4; ++i) {
      ASSERT_TRUE(device_->Copy(first.data(), ones.data(), kBytes, other.get()).ok());
    }
  }
  const void* const place = first.data();
  first = DeviceBuffer();
  const DeviceBuffer second = *DeviceBuffer::Make(device_.get(), kBytes);
  if (place != second.data()) GTEST_SKIP() << "the pool gave another piece, which shows nothing";
  ASSERT_TRUE(device_->FillZero(second.data(), kBytes, stream_).ok());
  ASSERT_TRUE(device_->Copy(seen.data(), second.data(), kBytes, stream_).ok());
  ASSERT_TRUE(device_->Synchronize(stream_).ok());
  const char* const got = static_cast<const char*>(seen.data());
  EXPECT_EQ(static_cast<long>(kBytes), std::count(got, got + kBytes, '\0'));
}

}  // namespace
}  // namespace navit
