// Inputs and comparisons of the kernel tests.
#ifndef NAVIT_KERNELS_CUDA_TEST_VALUES_H_
#define NAVIT_KERNELS_CUDA_TEST_VALUES_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>

#include "gtest/gtest.h"
#include "kernels/cuda/test_device.h"

namespace navit::kernels::cuda {

// Normal values; the same for the same seed.
inline Floats RandomFloats(int64_t count, uint32_t seed, float deviation = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, deviation);
  Floats values(count);
  for (float& value : values) value = normal(random);
  return values;
}

// The same, such that bf16 holds them exactly.
inline Floats RandomBf16(int64_t count, uint32_t seed, float deviation = 1) {
  return Rounded(RandomFloats(count, seed, deviation));
}

inline float Largest(const Floats& values) {
  float largest = 0;
  for (float value : values) largest = std::max(largest, std::abs(value));
  return largest;
}

// |want − got| <= absolute + relative·|want|, element by element.
inline void ExpectClose(const Floats& want, const Floats& got, float absolute, float relative,
                        const char* what) {
  ASSERT_EQ(want.size(), got.size()) << what;
  for (size_t i = 0; i < want.size(); ++i) {
    ASSERT_NEAR(want[i], got[i], absolute + relative * std::abs(want[i]))
        << what << "[" << i << "]";
  }
}

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_TEST_VALUES_H_
