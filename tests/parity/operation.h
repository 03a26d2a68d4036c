// What the tests of operations against PyTorch share.
#ifndef NAVIT_TESTS_PARITY_OPERATION_H_
#define NAVIT_TESTS_PARITY_OPERATION_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernels/thread_pool.h"
#include "tests/parity/drawn.h"
#include "tests/parity/values.h"

namespace navit::kernels {

using Floats = std::vector<float>;

// The drawn inputs of one operation, and the values that its results must agree with.
class Operation {
 public:
  explicit Operation(const std::string& name) : name_(name) {}

  Floats Reals(const char* input, size_t count, float scale = 1) const {
    return DrawnReals(absl::StrCat(name_, ".", input), count, scale);
  }
  template <typename T>
  std::vector<T> Whole(const char* input, size_t count, uint32_t below) const {
    std::vector<T> values(count);
    for (size_t i = 0; i < count; ++i) {
      values[i] = static_cast<T>(DrawnWhole(absl::StrCat(name_, ".", input), i, below));
    }
    return values;
  }
  void ExpectY(const Floats& y) const { Expect("y", y, kForwardTolerance); }
  void ExpectGradient(const char* input, const Floats& gradient) const {
    Expect(absl::StrCat("d", input), gradient, kGradientTolerance);
  }

 private:
  void Expect(const std::string& result, const Floats& actual, double tolerance) const {
    ExpectParity(absl::StrCat("operation/", name_, "/", result), actual, tolerance);
  }

  const std::string name_;
};

class OperationsTest : public testing::Test {
 protected:
  ThreadPool pool_{2};
};

}  // namespace navit::kernels

#endif  // NAVIT_TESTS_PARITY_OPERATION_H_
