#include <cstdlib>
#include <iostream>
#include <utility>

#include "absl/status/status.h"
#include "worker/device/cuda_device.h"
#include "worker/model/device/test_machine.h"

namespace navit {

std::string WhyNoMachine() {
  const absl::Status status = OpenCudaDevice(0).status();
  // A GPU that is there and does not work makes the tests fail.
  const bool none = absl::IsNotFound(status) || absl::IsFailedPrecondition(status);
  return none ? std::string(status.message()) : "";
}

Gpu MakeTestMachine() {
  absl::StatusOr<Gpu> gpu = OpenGpu(0);
  if (!gpu.ok()) {
    std::cerr << gpu.status() << std::endl;
    std::exit(1);
  }
  return *std::move(gpu);
}

std::vector<std::string> TakeMachineFindings() { return {}; }

}  // namespace navit
