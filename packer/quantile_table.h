// Quantile functions of the distributions that a job draws from, as tables of integers. A draw is a
// look-up and an interpolation in integers; the tables are built by portable_math.h, so that every
// machine builds the same bits.
#ifndef NAVIT_PACKER_QUANTILE_TABLE_H_
#define NAVIT_PACKER_QUANTILE_TABLE_H_

#include <cstdint>
#include <utility>
#include <vector>

namespace navit {

// A distribution on [0, 1] in units of 2^-32.
class QuantileTable {
 public:
  // The identity: uniform on [0, 1).
  QuantileTable() = default;
  // Normal(mu, 1) truncated to [-bound, bound], moved to [0, 1].
  static QuantileTable TruncatedNormal(double mu, double bound = 1);
  // Beta(a, b) with mean `mean` and variance 0.3 * mean * (1 - mean): a = 7/3 * mean,
  // b = 7/3 * (1 - mean) (NaViT, appendix B.2). mean <= 0: always 0; mean >= 1: always 1.
  static QuantileTable Beta(double mean);

  // The quantile of u / 2^32, monotone in u.
  uint32_t operator()(uint32_t u) const {
    if (knots_.empty()) return u;
    const uint32_t cell = u >> 20;
    const uint64_t fraction = u & 0xFFFFF;
    const uint64_t low = knots_[cell];
    return static_cast<uint32_t>(low + ((knots_[cell + 1] - low) * fraction >> 20));
  }

  // 2^12 + 1 values, non-decreasing; empty: the identity.
  const std::vector<uint32_t>& knots() const { return knots_; }

 private:
  explicit QuantileTable(std::vector<uint32_t> knots) : knots_(std::move(knots)) {}

  std::vector<uint32_t> knots_;
};

// `share` in [0, 1) as a number of 2^-32, rounded down.
uint32_t ShareToQ32(double share);

}  // namespace navit

#endif  // NAVIT_PACKER_QUANTILE_TABLE_H_
