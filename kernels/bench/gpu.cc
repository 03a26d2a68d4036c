#include "kernels/bench/gpu.h"

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>

namespace navit::kernels::cuda {
namespace {

void CheckCuda(cudaError_t error, const char* what) { Check({error}, what); }

// A prime.
constexpr int64_t kPeriod = 1048573;

const std::vector<float>& OnePeriod() {
  static const std::vector<float>* const values = [] {
    auto* const drawn = new std::vector<float>(kPeriod);
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    for (float& value : *drawn) value = normal(random);
    return drawn;
  }();
  return *values;
}

// Doubles what is filled until all of it is.
void Repeat(void* memory, int64_t filled, int64_t bytes) {
  char* const begin = static_cast<char*>(memory);
  for (int64_t at = filled; at < bytes; at += filled) {
    Check(CopyOnGpu(begin + at, begin, std::min(filled, bytes - at), nullptr), "random values");
  }
}

class Event {
 public:
  Event() { CheckCuda(cudaEventCreate(&event_), "an event"); }
  Event(const Event&) = delete;
  ~Event() { cudaEventDestroy(event_); }
  void Record() { CheckCuda(cudaEventRecord(event_, nullptr), "an event"); }
  double SecondsSince(const Event& before) const {
    float milliseconds = 0;
    CheckCuda(cudaEventElapsedTime(&milliseconds, before.event_, event_), "time");
    return 1e-3 * milliseconds;
  }

 private:
  cudaEvent_t event_;
};

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

std::string GpuName() {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) return "";
  cudaDeviceProp properties;
  int driver = 0, runtime = 0;
  CheckCuda(cudaGetDeviceProperties(&properties, 0), "properties");
  CheckCuda(cudaDriverGetVersion(&driver), "version");
  CheckCuda(cudaRuntimeGetVersion(&runtime), "version");
  return std::string(properties.name) + ", driver API " + std::to_string(driver) + ", runtime " +
         std::to_string(runtime);
}

void Check(LaunchError error, const char* what) {
  if (error.ok()) return;
  std::fprintf(stderr, "%s: error %d, %s\n", what, error.code,
               cudaGetErrorString(static_cast<cudaError_t>(error.code)));
  std::exit(1);
}

std::vector<float> NormalValues(int64_t count, float deviation) {
  std::vector<float> values(count);
  for (int64_t i = 0; i < count; ++i) values[i] = deviation * OnePeriod()[i % kPeriod];
  return values;
}

GpuMemory::~GpuMemory() {
  for (void* memory : owned_) cudaFree(memory);
}

void* GpuMemory::Bytes(int64_t bytes) {
  void* memory = nullptr;
  CheckCuda(cudaMalloc(&memory, static_cast<size_t>(std::max<int64_t>(bytes, 1))), "memory");
  owned_.push_back(memory);
  CheckCuda(cudaMemset(memory, 0, static_cast<size_t>(bytes)), "zeros");
  return memory;
}

float* GpuMemory::Normal(int64_t count, float deviation) {
  float* const memory = Make<float>(count);
  const std::vector<float> period = NormalValues(std::min(count, kPeriod), deviation);
  const auto filled = static_cast<int64_t>(period.size() * sizeof(float));
  Write(memory, period.data(), filled);
  Repeat(memory, filled, count * static_cast<int64_t>(sizeof(float)));
  return memory;
}

Bf16* GpuMemory::NormalBf16(int64_t count, float deviation) {
  Bf16* const memory = Make<Bf16>(count);
  std::vector<Bf16> period;
  for (const float value : NormalValues(std::min(count, kPeriod), deviation)) {
    period.push_back(FloatToBf16(value));
  }
  const auto filled = static_cast<int64_t>(period.size() * sizeof(Bf16));
  Write(memory, period.data(), filled);
  Repeat(memory, filled, count * static_cast<int64_t>(sizeof(Bf16)));
  return memory;
}

void GpuMemory::Write(void* to, const void* from, int64_t bytes) {
  CheckCuda(cudaMemcpy(to, from, static_cast<size_t>(bytes), cudaMemcpyHostToDevice), "a copy");
}

std::vector<char> Download(const void* from, int64_t bytes) {
  std::vector<char> values(static_cast<size_t>(bytes));
  CheckCuda(cudaMemcpy(values.data(), from, values.size(), cudaMemcpyDeviceToHost), "a result");
  return values;
}

LaunchError CopyOnGpu(void* to, const void* from, int64_t bytes, Stream stream) {
  return {cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyDeviceToDevice, stream)};
}

std::vector<double> TimeOnGpu(const std::vector<Stage>& stages, int iterations) {
  std::vector<Event> events(iterations * (stages.size() + 1));
  auto event = events.begin();
  for (int i = 0; i < iterations; ++i) {
    (event++)->Record();
    for (const Stage& stage : stages) {
      Check(stage.run(), stage.name.c_str());
      (event++)->Record();
    }
  }
  CheckCuda(cudaDeviceSynchronize(), "the work timed");
  const auto median = [&](size_t from, size_t to) {
    std::vector<double> seconds;
    for (size_t first = 0; first < events.size(); first += stages.size() + 1) {
      seconds.push_back(events[first + to].SecondsSince(events[first + from]));
    }
    return Median(seconds);
  };
  std::vector<double> medians;
  for (size_t s = 0; s < stages.size(); ++s) medians.push_back(median(s, s + 1));
  medians.push_back(median(0, stages.size()));
  return medians;
}

}  // namespace navit::kernels::cuda
