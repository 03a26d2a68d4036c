#include <cmath>
#include <limits>
#include <vector>

#include "kernels/contrastive.h"

namespace navit::kernels::ref {
namespace {

constexpr double kNone = -std::numeric_limits<double>::infinity();

// Σ_j over the positives of row i of body(j), over their number; 0 without one.
template <typename Body>
double MeanOverPositives(const ContrastiveStrip& strip, int64_t i, Body body) {
  double sum = 0;
  int64_t count = 0;
  for (int64_t j = 0; j < strip.columns; ++j) {
    if (!IsPositive(strip, i, j)) continue;
    sum += body(j);
    ++count;
  }
  return count == 0 ? 0 : sum / static_cast<double>(count);
}

double Smooth(const float* smooth, int64_t at) { return smooth == nullptr ? 0 : smooth[at]; }

double Cosine(const ContrastiveStrip& strip, int64_t i, int64_t j) {
  double sum = 0;
  for (int64_t d = 0; d < strip.dim; ++d) {
    sum += static_cast<double>(strip.x[i * strip.dim + d]) * strip.y[j * strip.dim + d];
  }
  return sum;
}

// Adds exp(z) to a sum kept relative to its maximum.
void Add(double z, double* max, double* sum) {
  if (z > *max) {
    *sum *= std::exp(*max - z);
    *max = z;
  }
  *sum += std::exp(z - *max);
}

}  // namespace

void ContrastiveStats(const ContrastiveStatsArgs& args) {
  const ContrastiveStrip& strip = args.strip;
  std::vector<double> column_max(strip.columns, kNone), column_sum(strip.columns, 0);
  for (int64_t i = 0; i < strip.rows; ++i) {
    double row_max = kNone, row_sum = 0, smooth = 0;
    args.positive_score[i] = static_cast<float>(
        MeanOverPositives(strip, i, [&](int64_t j) { return strip.scale * Cosine(strip, i, j); }));
    for (int64_t j = 0; j < strip.columns; ++j) {
      if (!PairCounts(strip, i, j)) continue;
      const double z = strip.scale * Cosine(strip, i, j);
      Add(z, &row_max, &row_sum);
      Add(z, &column_max[j], &column_sum[j]);
      smooth += (Smooth(strip.row_smooth, i) + Smooth(strip.column_smooth, j)) * z;
    }
    if (args.smooth_score != nullptr) args.smooth_score[i] = static_cast<float>(smooth);
    args.row_max[i] = static_cast<float>(row_max);
    args.row_sum[i] = static_cast<float>(row_sum);
  }
  for (int64_t j = 0; j < strip.columns; ++j) {
    args.column_max[j] = static_cast<float>(column_max[j]);
    args.column_sum[j] = static_cast<float>(column_sum[j]);
  }
}

void ContrastiveBackward(const ContrastiveBackwardArgs& args) {
  const ContrastiveStrip& strip = args.strip;
  std::vector<double> dx(strip.rows * strip.dim, 0), dy(strip.columns * strip.dim, 0);
  *args.dscale = 0;
  for (int64_t i = 0; i < strip.rows; ++i) {
    // Of each positive: the share over their number.
    int64_t count = 0;
    for (int64_t j = 0; j < strip.columns; ++j) count += IsPositive(strip, i, j);
    const double share = count == 0 ? 0 : static_cast<double>(strip.positive_share) / count;
    for (int64_t j = 0; j < strip.columns; ++j) {
      if (!PairCounts(strip, i, j)) continue;
      const double cosine = Cosine(strip, i, j);
      const double z = strip.scale * cosine;
      const double target = IsPositive(strip, i, j) ? share : 0;
      const double g =
          args.row_weight * (std::exp(z - args.row_lse[i]) - target - Smooth(strip.row_smooth, i)) +
          args.column_weight *
              (std::exp(z - args.column_lse[j]) - target - Smooth(strip.column_smooth, j));
      *args.dscale += g * cosine;
      for (int64_t d = 0; d < strip.dim; ++d) {
        dx[i * strip.dim + d] += g * strip.scale * strip.y[j * strip.dim + d];
        dy[j * strip.dim + d] += g * strip.scale * strip.x[i * strip.dim + d];
      }
    }
  }
  for (size_t at = 0; at < dx.size(); ++at) args.dx[at] = static_cast<float>(dx[at]);
  for (size_t at = 0; at < dy.size(); ++at) args.dy[at] = static_cast<float>(dy[at]);
}

}  // namespace navit::kernels::ref
