#include "worker/model/lbfgs.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <utility>

#include "common/status_macros.h"

namespace navit {
namespace {

using Vector = std::vector<double>;

double Dot(const Vector& a, const Vector& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

void AddScaled(double factor, const Vector& from, Vector* to) {
  for (size_t i = 0; i < from.size(); ++i) (*to)[i] += factor * from[i];
}

double LargestElement(const Vector& a) {
  double largest = 0;
  for (const double value : a) largest = std::max(largest, std::abs(value));
  return largest;
}

// A step and the change of the gradient over it.
struct Difference {
  Vector step, change;
  double inverse = 0;  // 1 / (step . change)
};

// -H g by the two loops over the differences.
Vector Direction(const std::deque<Difference>& differences, const Vector& gradient) {
  Vector direction(gradient);
  Vector weights(differences.size());
  for (size_t i = differences.size(); i-- > 0;) {
    const Difference& d = differences[i];
    weights[i] = d.inverse * Dot(d.step, direction);
    AddScaled(-weights[i], d.change, &direction);
  }
  double scale = 1 / std::max(1.0, std::sqrt(Dot(gradient, gradient)));
  if (!differences.empty()) {
    const Difference& last = differences.back();
    scale = 1 / (last.inverse * Dot(last.change, last.change));
  }
  for (double& value : direction) value *= scale;
  for (size_t i = 0; i < differences.size(); ++i) {
    const Difference& d = differences[i];
    AddScaled(weights[i] - d.inverse * Dot(d.change, direction), d.step, &direction);
  }
  for (double& value : direction) value = -value;
  return direction;
}

}  // namespace

absl::StatusOr<LbfgsResult> MinimizeLbfgs(const Objective& objective, const LbfgsOptions& options,
                                          Vector* x) {
  constexpr int kMostHalvings = 30;
  constexpr double kSufficientDecrease = 1e-4;
  LbfgsResult result;
  Vector gradient(x->size()), next_gradient(x->size());
  NAVIT_ASSIGN_OR_RETURN(result.value, objective(*x, absl::MakeSpan(gradient)));
  std::deque<Difference> differences;
  for (; result.iterations < options.max_iterations; ++result.iterations) {
    if (LargestElement(gradient) <= options.gradient_tolerance) {
      result.converged = true;
      return result;
    }
    const Vector direction = Direction(differences, gradient);
    const double slope = Dot(direction, gradient);
    Vector next;
    double value = 0;
    bool lower = false;
    double length = 1;
    for (int halving = 0; halving < kMostHalvings && !lower; ++halving, length /= 2) {
      next = *x;
      AddScaled(length, direction, &next);
      NAVIT_ASSIGN_OR_RETURN(value, objective(next, absl::MakeSpan(next_gradient)));
      lower = value < result.value + kSufficientDecrease * length * slope;
    }
    if (!lower) {
      result.converged = true;
      return result;
    }
    Difference difference{std::move(next), next_gradient, 0};
    AddScaled(-1, *x, &difference.step);
    AddScaled(-1, gradient, &difference.change);
    AddScaled(1, difference.step, x);
    gradient = next_gradient;
    result.value = value;
    const double curvature = Dot(difference.step, difference.change);
    if (!(curvature > 1e-12 * Dot(difference.change, difference.change))) continue;
    difference.inverse = 1 / curvature;
    differences.push_back(std::move(difference));
    if (static_cast<int>(differences.size()) > options.memory) differences.pop_front();
  }
  return result;
}

}  // namespace navit
