#include "kernels/cuda/host_twin/linear.h"
#include "kernels/cuda/host_twin/memory.h"
#include "worker/model/device/test_machine.h"
#include "worker/model/device/twin_device.h"

namespace navit {

std::string WhyNoMachine() { return ""; }

Gpu MakeTestMachine() {
  return {std::make_unique<TwinDevice>(), DeviceBuffer(),
          std::make_unique<kernels::cuda::TwinLinearEngine>()};
}

std::vector<std::string> TakeMachineFindings() { return kernels::cuda::twin::TakeFindings().texts; }

}  // namespace navit
