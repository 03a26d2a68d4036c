#include <cuda_runtime.h>

#include <cstdlib>
#include <cstring>
#include <iostream>

#include "kernels/cuda/test_device.h"

namespace navit::kernels::cuda {
namespace {

void Check(cudaError_t error) {
  if (error == cudaSuccess) return;
  std::cerr << "CUDA: " << cudaGetErrorString(error) << std::endl;
  std::exit(1);
}

}  // namespace

std::string WhyNoDevice() {
  int devices = 0;
  const cudaError_t error = cudaGetDeviceCount(&devices);
  if (error != cudaSuccess) return std::string("no GPU: ") + cudaGetErrorString(error);
  return devices == 0 ? "no GPU" : "";
}

struct DeviceBytes::Memory {
  void* data = nullptr;
};

DeviceBytes::DeviceBytes(size_t bytes) : memory_(new Memory) {
  if (bytes == 0) return;
  Check(cudaMalloc(&memory_->data, bytes));
  Check(cudaMemset(memory_->data, 0xff, bytes));
}
DeviceBytes::~DeviceBytes() {
  if (memory_ != nullptr && memory_->data != nullptr) Check(cudaFree(memory_->data));
}
void* DeviceBytes::data() const { return memory_->data; }
void DeviceBytes::Write(size_t offset, const void* from, size_t bytes) {
  if (bytes == 0) return;
  Check(
      cudaMemcpy(static_cast<char*>(memory_->data) + offset, from, bytes, cudaMemcpyHostToDevice));
}
void DeviceBytes::Read(void* to, size_t bytes) const {
  if (bytes != 0) Check(cudaMemcpy(to, memory_->data, bytes, cudaMemcpyDeviceToHost));
}

std::vector<Floats> RunOnDevice(const std::function<std::vector<Floats>()>& run) {
  const std::vector<Floats> outputs = run();
  const std::vector<Floats> again = run();
  for (size_t i = 0; i < outputs.size(); ++i) {
    EXPECT_EQ(0, std::memcmp(outputs[i].data(), again[i].data(), outputs[i].size() * sizeof(float)))
        << "two runs differ";
  }
  return outputs;
}

}  // namespace navit::kernels::cuda
