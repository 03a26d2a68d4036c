// Memory and runs for tests of kernels, with two implementations: the host twin and a GPU.
#ifndef NAVIT_KERNELS_CUDA_TEST_DEVICE_H_
#define NAVIT_KERNELS_CUDA_TEST_DEVICE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/cuda/bf16.h"

namespace navit::kernels::cuda {

// Why there is no device to run on; empty where there is one, as always on the twin.
std::string WhyNoDevice();

// The base of tests that need a device: skipped, by name and with the reason, where there is none.
class DeviceTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::string why = WhyNoDevice();
    if (!why.empty()) GTEST_SKIP() << why;
  }
};

// Bytes of device memory. Their content is undefined until Write; on the twin a kernel that reads
// them before they were written fails the test.
class DeviceBytes {
 public:
  explicit DeviceBytes(size_t bytes);
  ~DeviceBytes();
  DeviceBytes(DeviceBytes&&) = default;

  void* data() const;
  void Write(size_t offset, const void* from, size_t bytes);
  void Read(void* to, size_t bytes) const;

 private:
  struct Memory;
  std::unique_ptr<Memory> memory_;
};

// An array in device memory.
template <typename T>
class DeviceArray {
 public:
  explicit DeviceArray(size_t count) : count_(count), bytes_(count * sizeof(T)) {}
  explicit DeviceArray(const std::vector<T>& values) : DeviceArray(values.size()) { Write(values); }

  // The first values.size() elements; the others stay as they are.
  void Write(const std::vector<T>& values) {
    bytes_.Write(0, values.data(), values.size() * sizeof(T));
  }
  T* data() const { return static_cast<T*>(bytes_.data()); }
  std::vector<T> Read() const {
    std::vector<T> values(count_);
    bytes_.Read(values.data(), count_ * sizeof(T));
    return values;
  }

 private:
  size_t count_;
  DeviceBytes bytes_;
};

using Floats = std::vector<float>;

inline std::vector<Bf16> ToBf16(const Floats& from) {
  std::vector<Bf16> to;
  for (float value : from) to.push_back(FloatToBf16(value));
  return to;
}
inline Floats ToFloats(const std::vector<Bf16>& from) {
  Floats to;
  for (Bf16 value : from) to.push_back(Bf16ToFloat(value));
  return to;
}
// The values that survive storage as bf16, for the reference's input.
inline Floats Rounded(const Floats& from) { return ToFloats(ToBf16(from)); }

// Calls `run`, which makes its buffers, launches kernels and returns what they computed, several
// times, and expects the same bits each time. On the twin: in several orders of the threads,
// without a finding; and once more for each barrier and each wait for copies that no earlier call
// has shown to be needed, without it, noting whether the twin then finds a fault. When the test
// program ends, all that was passed must have been needed by one of its runs.
std::vector<Floats> RunOnDevice(const std::function<std::vector<Floats>()>& run);

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_TEST_DEVICE_H_
