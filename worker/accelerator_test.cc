#include "worker/accelerator.h"

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "worker/device/host_device.h"
#include "worker/model/testing.h"

namespace navit {
namespace {

TEST(ParseDevice, NamesTheCpuOrAGpu) {
  EXPECT_EQ(std::nullopt, *ParseDevice("cpu"));
  EXPECT_EQ(0, *ParseDevice("cuda"));
  EXPECT_EQ(3, *ParseDevice("cuda:3"));
  for (const char* wrong : {"", "gpu", "cuda:", "cuda:-1", "cuda:one", "cpu:0"}) {
    EXPECT_EQ(absl::StatusCode::kInvalidArgument, ParseDevice(wrong).status().code()) << wrong;
  }
}

TEST(OptionsOnDevice, ActivationsGetHalfOfWhatTheWeightsLeave) {
  const ParameterTable table(SmallModelConfig());
  HostDevice device;
  const size_t weights = 22 * table.total_size();
  device.arena()->SetLimit(weights + 1000);
  EXPECT_EQ(500, OptionsOnDevice({}, table, device)->activation_bytes);
  EXPECT_EQ(16384, OptionsOnDevice({}, table, device)->micro_batch_tokens);
  TrainStepOptions larger;
  larger.micro_batch_tokens = 20000;
  EXPECT_EQ(20000, OptionsOnDevice(larger, table, device)->micro_batch_tokens);
  device.arena()->SetLimit(weights - 1);
  EXPECT_EQ(0, OptionsOnDevice({}, table, device)->activation_bytes);
}

// On every machine: there is a GPU, or it is said what is missing.
TEST(OpenAccelerator, OpensOrSaysWhyNot) {
  const auto accelerator = OpenAccelerator(0);
  if (accelerator.ok()) {
    EXPECT_NE("", (*accelerator)->gpu.device->name());
    EXPECT_GE(*CountAccelerators(), 1);
  } else {
    EXPECT_EQ(accelerator.status(), CountAccelerators().status());
    EXPECT_TRUE(absl::IsNotFound(accelerator.status()) ||
                absl::IsFailedPrecondition(accelerator.status()))
        << accelerator.status();
  }
}

}  // namespace
}  // namespace navit
