// A GPU as the benchmarks use it: memory with random content, and the time that work takes. A CUDA
// error ends the process with a line on stderr: the measurement is lost anyhow.
#ifndef NAVIT_KERNELS_BENCH_GPU_H_
#define NAVIT_KERNELS_BENCH_GPU_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "kernels/cuda/bf16.h"
#include "kernels/cuda/launch.h"

namespace navit::kernels::cuda {

// Name of device 0 and the versions of driver and runtime; empty: there is no GPU.
std::string GpuName();

// Ends the process on an error; `what` was being done.
void Check(LaunchError error, const char* what);

// Normal values of the given deviation, the same at every call. They repeat with a period of about
// a million, which is prime, so that no two rows of a matrix are alike.
std::vector<float> NormalValues(int64_t count, float deviation = 1);

// Device memory, freed together.
class GpuMemory {
 public:
  GpuMemory() = default;
  GpuMemory(const GpuMemory&) = delete;
  GpuMemory& operator=(const GpuMemory&) = delete;
  ~GpuMemory();

  // Filled with zeros; aligned to 256 bytes.
  void* Bytes(int64_t bytes);
  template <typename T>
  T* Make(int64_t count) {
    return static_cast<T*>(Bytes(count * static_cast<int64_t>(sizeof(T))));
  }
  template <typename T>
  T* Upload(const std::vector<T>& values) {
    T* const memory = Make<T>(static_cast<int64_t>(values.size()));
    Write(memory, values.data(), static_cast<int64_t>(values.size() * sizeof(T)));
    return memory;
  }
  float* Normal(int64_t count, float deviation = 1);
  Bf16* NormalBf16(int64_t count, float deviation = 1);

 private:
  static void Write(void* to, const void* from, int64_t bytes);
  std::vector<void*> owned_;
};

// What the device has there, after all that was queued before.
std::vector<char> Download(const void* from, int64_t bytes);

// Copies within the device.
LaunchError CopyOnGpu(void* to, const void* from, int64_t bytes, Stream stream);

// A part of what is timed.
struct Stage {
  std::string name;
  // Queues its work on the default stream.
  std::function<LaunchError()> run;
  // That it must move, and useful operations.
  double bytes = 0, flops = 0;
};

// Runs all stages in turn, `iterations` times without waiting between them, and times them by
// events. Medians in seconds, one per stage, and of the whole turn behind them.
std::vector<double> TimeOnGpu(const std::vector<Stage>& stages, int iterations);

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_BENCH_GPU_H_
