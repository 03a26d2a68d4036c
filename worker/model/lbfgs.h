// L-BFGS for smooth convex functions (Nocedal and Wright, "Numerical Optimization", algorithm 7.4),
// with a backtracking line search.
#ifndef NAVIT_WORKER_MODEL_LBFGS_H_
#define NAVIT_WORKER_MODEL_LBFGS_H_

#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace navit {

struct LbfgsOptions {
  int max_iterations = 100;
  // Ends when no element of the gradient is larger.
  double gradient_tolerance = 1e-6;
  // Differences that are kept.
  int memory = 10;
};

struct LbfgsResult {
  double value = 0;
  int iterations = 0;
  // The gradient's tolerance was met, or rounding allows no further descent.
  bool converged = false;
};

// Assigns the gradient at `x` and returns the value; an error ends the search.
using Objective =
    std::function<absl::StatusOr<double>(absl::Span<const double> x, absl::Span<double> gradient)>;

// Improves `*x` in place. Deterministic: where all ranks see the same values, all stay together.
absl::StatusOr<LbfgsResult> MinimizeLbfgs(const Objective& objective, const LbfgsOptions& options,
                                          std::vector<double>* x);

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_LBFGS_H_
