#include "worker/model/resample_weights.h"

#include <algorithm>
#include <cmath>

namespace navit {
namespace {

double Triangle(double x) { return std::max(0.0, 1 - std::abs(x)); }

// Keys, "Cubic convolution interpolation for digital image processing", with a = -1/2.
double Cubic(double x) {
  x = std::abs(x);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  if (x < 2) return ((-0.5 * x + 2.5) * x - 4) * x + 2;
  return 0;
}

}  // namespace

std::vector<float> ResampleWeights(v1::ImageTowerSpec::Interpolation interpolation, int64_t rows,
                                   int64_t side) {
  const bool cubic = interpolation == v1::ImageTowerSpec::CUBIC_ANTIALIAS;
  const double scale = static_cast<double>(rows) / static_cast<double>(side);
  const double widening = std::max(1.0, scale);
  std::vector<float> weights(side * rows, 0.0f);
  std::vector<double> of_place(rows);
  for (int64_t place = 0; place < side; ++place) {
    const double centre = (static_cast<double>(place) + 0.5) * scale - 0.5;
    double sum = 0;
    for (int64_t row = 0; row < rows; ++row) {
      const double distance = (static_cast<double>(row) - centre) / widening;
      of_place[row] = cubic ? Cubic(distance) : Triangle(distance);
      sum += of_place[row];
    }
    for (int64_t row = 0; row < rows; ++row) {
      weights[place * rows + row] = static_cast<float>(of_place[row] / sum);
    }
  }
  return weights;
}

}  // namespace navit
