// What the tests of operations share: drawn values, comparisons, and one run per SIMD target.
#ifndef NAVIT_KERNELS_KERNELS_FIXTURE_H_
#define NAVIT_KERNELS_KERNELS_FIXTURE_H_

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "hwy/highway.h"
#include "kernels/thread_pool.h"

namespace navit::kernels {

using Floats = std::vector<float>;

inline std::mt19937& Generator() {
  static std::mt19937 generator(20240607);
  return generator;
}

inline Floats Random(int64_t count, float deviation = 1) {
  std::normal_distribution<float> normal(0, deviation);
  Floats values(count);
  for (float& value : values) value = normal(Generator());
  return values;
}

inline void ExpectNear(const Floats& want, const Floats& got, double tolerance, const char* what) {
  ASSERT_EQ(want.size(), got.size());
  for (size_t i = 0; i < want.size(); ++i) {
    if (want[i] == got[i]) continue;
    ASSERT_LE(std::abs(want[i] - got[i]), tolerance * std::max(1.0f, std::abs(want[i])))
        << what << "[" << i << "]";
  }
}

// Each test runs once per target.
class KernelsTest : public testing::TestWithParam<int64_t> {
 protected:
  void SetUp() override { hwy::SetSupportedTargetsForTest(GetParam()); }
  void TearDown() override { hwy::SetSupportedTargetsForTest(0); }
  ThreadPool pool_{3};
};

// The reference's gradient of Σ w·f(x) against central differences.
inline void CheckGradient(Floats& x, const Floats& gradient, const std::function<double()>& loss,
                          const char* what) {
  for (size_t i = 0; i < x.size(); i += 1 + x.size() / 40) {
    const float saved = x[i], step = 1e-2f;
    x[i] = saved + step;
    const double up = loss();
    x[i] = saved - step;
    const double down = loss();
    x[i] = saved;
    ASSERT_NEAR((up - down) / (2 * step), gradient[i], 5e-3 * std::max(1.0f, std::abs(gradient[i])))
        << what << "[" << i << "]";
  }
}

}  // namespace navit::kernels

#endif  // NAVIT_KERNELS_KERNELS_FIXTURE_H_
