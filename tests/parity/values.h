// The stored values of make_values.py, and the bound within which ours must agree with them.
#ifndef NAVIT_TESTS_PARITY_VALUES_H_
#define NAVIT_TESTS_PARITY_VALUES_H_

#include <string>

#include "absl/types/span.h"

namespace navit {

// Relative to the largest element of a result.
inline constexpr double kForwardTolerance = 1e-5;
inline constexpr double kGradientTolerance = 1e-4;

// Holds `actual` against PyTorch's float64 values under that name: the largest difference is at
// most three times that of PyTorch in float32, or `tolerance` times the largest element, whichever
// is larger. Of long results every n-th element was stored. Fails the test otherwise, or when no
// values of that size are stored.
void ExpectParity(const std::string& name, absl::Span<const float> actual, double tolerance);

}  // namespace navit

#endif  // NAVIT_TESTS_PARITY_VALUES_H_
