#include "packer/portable_math.h"

#include <cstdint>
#include <cstring>

namespace navit::portable {
namespace {

constexpr double kLn2 = 0.693147180559945309417;

double PowerOfTwo(int exponent) {
  const uint64_t bits = static_cast<uint64_t>(exponent + 1023) << 52;
  double value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

}  // namespace

// x = k ln 2 + r, |r| <= ln2 / 2, and the series of e^r.
double Exp(double x) {
  if (x < -700) return 0;
  const int k = static_cast<int>(x / kLn2 - 0.5);
  const double r = x - k * kLn2;
  double sum = 1;
  for (int n = 18; n > 0; --n) sum = 1 + sum * r / n;
  return sum * PowerOfTwo(k);
}

// x = 2^k m, m in [2/3, 4/3), ln m = 2 artanh((m - 1) / (m + 1)).
double Log(double x) {
  uint64_t bits;
  std::memcpy(&bits, &x, sizeof(bits));
  int k = static_cast<int>(bits >> 52) - 1023;
  bits = (bits & ((uint64_t{1} << 52) - 1)) | uint64_t{1023} << 52;
  double m;
  std::memcpy(&m, &bits, sizeof(m));
  if (m >= 4.0 / 3.0) {
    m *= 0.5;
    ++k;
  }
  const double t = (m - 1) / (m + 1);
  const double t2 = t * t;
  double sum = 0;
  for (int n = 27; n > 0; n -= 2) sum = sum * t2 + 1.0 / n;
  return k * kLn2 + 2 * t * sum;
}

double Power(double x, double p) { return x <= 0 ? 0 : Exp(p * Log(x)); }

double Sigmoid(double x) {
  if (x >= 0) return 1 / (1 + Exp(-x));
  const double e = Exp(x);
  return e / (1 + e);
}

}  // namespace navit::portable
