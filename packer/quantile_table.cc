#include "packer/quantile_table.h"

#include <cstddef>
#include <utility>

#include "packer/portable_math.h"

namespace navit {
namespace {

using portable::Exp;
using portable::Power;

constexpr int kKnots = (1 << 12) + 1;
// Cells of the numerical integrals.
constexpr int kCells = 1 << 14;
constexpr double kTwoTo32 = 4294967296.0;

uint32_t ToQ32(double value) {
  if (!(value > 0)) return 0;
  const double scaled = value * kTwoTo32;
  return scaled >= kTwoTo32 - 1 ? 0xFFFFFFFFu : static_cast<uint32_t>(scaled);
}

// Cumulative integral of a density at equidistant points of [0, width], by the trapezoid rule.
std::vector<double> Cumulate(const std::vector<double>& density, double width) {
  std::vector<double> mass(density.size(), 0.0);
  const double step = width / static_cast<double>(density.size() - 1);
  for (size_t i = 1; i < density.size(); ++i) {
    mass[i] = mass[i - 1] + 0.5 * (density[i - 1] + density[i]) * step;
  }
  return mass;
}

// The place, in cells, at which the cumulative mass reaches `target`; `cell` moves forward only.
double Locate(const std::vector<double>& mass, double target, size_t& cell) {
  while (cell + 2 < mass.size() && mass[cell + 1] < target) ++cell;
  const double inside = mass[cell + 1] - mass[cell];
  double fraction = inside > 0 ? (target - mass[cell]) / inside : 0;
  if (fraction < 0) fraction = 0;
  if (fraction > 1) fraction = 1;
  return static_cast<double>(cell) + fraction;
}

// One half of Beta(a, b): x in [0, 1/2] with s = x^a takes the singularity at 0 away,
//   integral x^(a-1) (1-x)^(b-1) dx = 1/a integral (1 - s^(1/a))^(b-1) ds.
struct BetaHalf {
  BetaHalf(double a_in, double b) : a(a_in), width(Power(0.5, a_in)) {
    std::vector<double> density(kCells + 1);
    for (int i = 0; i <= kCells; ++i) {
      const double x = X(i);
      // (1-x)^(b-1) for b < 1 too: 1 / (1-x)^(1-b).
      density[i] = (b >= 1 ? Power(1 - x, b - 1) : 1 / Power(1 - x, 1 - b)) / a;
    }
    mass = Cumulate(density, width);
  }
  double X(double cell) const {
    const double x = Power(cell * width / kCells, 1 / a);
    return x > 0.5 ? 0.5 : x;
  }
  double total() const { return mass.back(); }

  double a;
  double width;
  std::vector<double> mass;
};

}  // namespace

uint32_t ShareToQ32(double share) { return ToQ32(share); }

QuantileTable QuantileTable::TruncatedNormal(double mu, double bound) {
  std::vector<double> density(kCells + 1);
  for (int i = 0; i <= kCells; ++i) {
    const double x = 2.0 * bound * i / kCells - bound - mu;
    density[i] = Exp(-0.5 * x * x);
  }
  const std::vector<double> mass = Cumulate(density, 1);
  std::vector<uint32_t> knots(kKnots);
  size_t cell = 0;
  for (int i = 0; i < kKnots; ++i) {
    knots[i] = ToQ32(Locate(mass, mass.back() * i / (kKnots - 1), cell) / kCells);
  }
  return QuantileTable(std::move(knots));
}

QuantileTable QuantileTable::Beta(double mean) {
  if (!(mean > 0)) return QuantileTable(std::vector<uint32_t>(kKnots, 0));
  if (mean >= 1) return QuantileTable(std::vector<uint32_t>(kKnots, 0xFFFFFFFFu));
  const double a = 7.0 / 3.0 * mean;
  const double b = 7.0 / 3.0 * (1 - mean);
  const BetaHalf low(a, b);
  const BetaHalf high(b, a);  // of 1 - x
  const double total = low.total() + high.total();
  std::vector<uint32_t> knots(kKnots);
  size_t low_cell = 0;
  size_t high_cell = 0;
  // From 0 up over the lower half, from 1 down over the upper half.
  int first_high = kKnots;
  for (int i = 0; i < kKnots; ++i) {
    const double target = total * i / (kKnots - 1);
    if (target > low.total()) {
      first_high = i;
      break;
    }
    knots[i] = ToQ32(low.X(Locate(low.mass, target, low_cell)));
  }
  for (int i = kKnots - 1; i >= first_high; --i) {
    const double target = total * (kKnots - 1 - i) / (kKnots - 1);
    knots[i] = ToQ32(1 - high.X(Locate(high.mass, target, high_cell)));
  }
  return QuantileTable(std::move(knots));
}

}  // namespace navit
