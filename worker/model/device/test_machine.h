// Where a test's model runs, with two implementations: the host twin and a GPU.
#ifndef NAVIT_WORKER_MODEL_DEVICE_TEST_MACHINE_H_
#define NAVIT_WORKER_MODEL_DEVICE_TEST_MACHINE_H_

#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "worker/device/gpu.h"

namespace navit {

// Why there is no machine; empty where there is one, as always on the twin.
std::string WhyNoMachine();

// There must be one.
Gpu MakeTestMachine();

// What kernels did wrong since the last call, as far as the machine notices.
std::vector<std::string> TakeMachineFindings();

// Skipped, by name and with the reason, where there is no machine.
class MachineTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::string why = WhyNoMachine();
    if (!why.empty()) GTEST_SKIP() << why;
    TakeMachineFindings();
    gpu_ = MakeTestMachine();
  }
  void TearDown() override {
    for (const std::string& text : TakeMachineFindings()) ADD_FAILURE() << text;
  }

  Device* device() { return gpu_.device.get(); }
  kernels::cuda::LinearEngine* engine() { return gpu_.engine.get(); }

 private:
  Gpu gpu_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_DEVICE_TEST_MACHINE_H_
