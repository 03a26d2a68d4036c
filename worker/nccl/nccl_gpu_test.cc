// One rank by NCCL itself, on a GPU; skipped where either is missing.
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/cuda/test_device.h"
#include "worker/device/cuda_device.h"
#include "worker/model/gradient_reducer.h"
#include "worker/nccl/nccl_collective.h"
#include "worker/nccl/nccl_library.h"
#include "worker/rendezvous_memory.h"

namespace navit {
namespace {

class NcclGpuTest : public kernels::cuda::DeviceTest {
 protected:
  void SetUp() override {
    DeviceTest::SetUp();
    if (IsSkipped()) return;
    const auto nccl = LoadNccl();
    if (!nccl.ok()) GTEST_SKIP() << nccl.status().message();
    nccl_ = *nccl;
    device_ = *OpenCudaDevice(0);
    collective_ = Connected();
  }

  // The one rank of a new generation.
  std::unique_ptr<NcclCollective> Connected() {
    auto collective = std::make_unique<NcclCollective>(NcclOptions{.timeout = absl::Seconds(120)},
                                                       nccl_, device_.get());
    MemoryRendezvousStore store;
    const absl::Status status = collective->Connect(&store);
    EXPECT_TRUE(status.ok()) << status;
    return collective;
  }

  NcclApi* nccl_ = nullptr;
  std::unique_ptr<Device> device_;
  std::unique_ptr<NcclCollective> collective_;
};

TEST_F(NcclGpuTest, EveryOperationOfARankAloneGivesBackItsValues) {
  const std::vector<float> values = {1.5f, -2, 3};
  std::vector<float> floats = values, all(3), mine(3);
  EXPECT_TRUE(collective_->AllReduceSum(absl::MakeSpan(floats)).ok());
  EXPECT_TRUE(collective_->AllReduceMax(absl::MakeSpan(floats)).ok());
  EXPECT_EQ(floats, values);
  std::vector<double> doubles = {0.1, 1e300};
  EXPECT_TRUE(collective_->AllReduceSum(absl::MakeSpan(doubles)).ok());
  EXPECT_EQ(doubles, (std::vector<double>{0.1, 1e300}));
  EXPECT_TRUE(collective_->AllGather(values, {3}, absl::MakeSpan(all)).ok());
  EXPECT_EQ(all, values);
  const std::vector<uint64_t> words = {uint64_t{1} << 63, 7};
  std::vector<uint64_t> all_words(2);
  EXPECT_TRUE(collective_->AllGather(words, {2}, absl::MakeSpan(all_words)).ok());
  EXPECT_EQ(all_words, words);
  EXPECT_TRUE(collective_->ReduceScatter(values, {3}, absl::MakeSpan(mine)).ok());
  EXPECT_EQ(mine, values);
  std::vector<char> bytes = {'h', 'i'};
  EXPECT_TRUE(collective_->Broadcast(absl::MakeSpan(bytes), 0).ok());
  EXPECT_EQ(bytes, (std::vector<char>{'h', 'i'}));
}

TEST_F(NcclGpuTest, GradientsOnTheDeviceAreReducedInBuckets) {
  constexpr size_t kFloats = 100000;
  const std::vector<float> values(kFloats, 0.25f);
  DeviceStream stream = *device_->CreateStream();
  {
    const DeviceBuffer buffer = *DeviceBuffer::Make(device_.get(), kFloats * sizeof(float));
    ASSERT_TRUE(device_->Copy(buffer.data(), values.data(), buffer.bytes(), stream).ok());
    ASSERT_TRUE(device_->Synchronize(stream).ok());
    GradientReducer reducer(absl::MakeSpan(static_cast<float*>(buffer.data()), kFloats), 30000,
                            collective_.get());
    reducer.Complete(kFloats / 2);
    const absl::Status status = reducer.Finish();
    EXPECT_TRUE(status.ok()) << status;
    std::vector<float> reduced(kFloats);
    ASSERT_TRUE(device_->Copy(reduced.data(), buffer.data(), buffer.bytes(), stream).ok());
    ASSERT_TRUE(device_->Synchronize(stream).ok());
    EXPECT_EQ(reduced, values);
  }
  device_->DestroyStream(stream);
}

TEST_F(NcclGpuTest, AnAbortedGenerationLeavesTheNextOneWhole) {
  collective_->Abort();
  float one = 1;
  EXPECT_EQ(collective_->AllReduceSum(absl::MakeSpan(&one, 1)).code(), absl::StatusCode::kAborted);
  const auto next = Connected();
  EXPECT_TRUE(next->AllReduceSum(absl::MakeSpan(&one, 1)).ok());
  EXPECT_EQ(one, 1);
}

}  // namespace
}  // namespace navit
