#include "tests/parity/values.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "worker/safetensors.h"

namespace navit {
namespace {

// Elements of a result that make_values.py keeps at most.
constexpr size_t kKept = 64;

const Safetensors& Values() {
  static const auto* const values = [] {
    const std::string path = "tests/parity/values.safetensors";
    std::ifstream file(path, std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(file)), {});
    auto read = Safetensors::Read(path, {.bytes = bytes.size(), .hash = HashHex(bytes)});
    if (!read.ok()) {
      ADD_FAILURE() << read.status();
      std::abort();
    }
    return new Safetensors(*std::move(read));
  }();
  return *values;
}

}  // namespace

void ExpectParity(const std::string& name, absl::Span<const float> actual, double tolerance) {
  const size_t stride = (actual.size() + kKept - 1) / kKept;
  const int64_t kept = static_cast<int64_t>((actual.size() + stride - 1) / stride);
  const auto wanted = Values().Find(name, {kept});
  const auto scale = Values().Find(name + ".scale", {2});
  ASSERT_TRUE(wanted.ok()) << wanted.status();
  ASSERT_TRUE(scale.ok()) << scale.status();
  double largest = 0;
  for (int64_t i = 0; i < kept; ++i) {
    const double difference = std::abs(static_cast<double>(actual[i * stride]) - (*wanted)[i]);
    // A NaN must not get lost in max().
    ASSERT_FALSE(std::isnan(difference)) << name << "[" << i * stride << "]";
    largest = std::max(largest, difference);
  }
  const double allowed = std::max(3.0 * (*scale)[1], tolerance * (*scale)[0]);
  EXPECT_LE(largest, allowed) << name << ": largest element " << (*scale)[0]
                              << ", PyTorch's own error in float32 " << (*scale)[1];
}

}  // namespace navit
