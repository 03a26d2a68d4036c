#include "packer/quantile_table.h"

#include <cmath>
#include <cstdint>

#include "gtest/gtest.h"

namespace navit {
namespace {

// Percent of draws d = max * Beta(mean / max) that are below 0.1.
double PercentBelowTenth(double max, double mean) {
  const QuantileTable table = QuantileTable::Beta(mean / max);
  const int draws = 1 << 16;
  int below = 0;
  for (int i = 0; i < draws; ++i) {
    const uint32_t u = (static_cast<uint32_t>(i) << 16) + (1u << 15);
    if (max * table(u) / 4294967296.0 < 0.1) ++below;
  }
  return 100.0 * below / draws;
}

// NaViT, appendix B.2, prints P(d < 0.1) in percent.
TEST(BetaTable, AgreesWithPercentagesOfThePaper) {
  const struct {
    double max, mean, percent;
  } cases[] = {{0.4, 0.1, 60.3},  {0.4, 0.25, 11.5}, {0.4, 0.35, 1.3}, {0.7, 0.1, 66.9},
               {0.7, 0.25, 27.3}, {0.7, 0.5, 2.3},   {0.7, 0.65, 0.1}, {0.9, 0.1, 70.4},
               {0.9, 0.25, 33.5}, {0.9, 0.5, 5.9},   {0.9, 0.7, 0.9},  {0.9, 0.85, 0.1}};
  for (const auto& c : cases) {
    EXPECT_NEAR(PercentBelowTenth(c.max, c.mean), c.percent, 0.8) << c.max << " " << c.mean;
  }
}

TEST(BetaTable, HasItsMeanAndVariance) {
  for (const double mean : {0.02, 0.2, 0.5, 0.5555, 0.9, 0.99}) {
    const QuantileTable table = QuantileTable::Beta(mean);
    double sum = 0, squares = 0;
    const int draws = 1 << 16;
    for (int i = 0; i < draws; ++i) {
      const double x = table((static_cast<uint32_t>(i) << 16) + (1u << 15)) / 4294967296.0;
      sum += x;
      squares += x * x;
    }
    sum /= draws;
    squares /= draws;
    EXPECT_NEAR(sum, mean, 0.002);
    EXPECT_NEAR(squares - sum * sum, 0.3 * mean * (1 - mean), 0.002);
  }
}

TEST(BetaTable, DegenerateMeans) {
  EXPECT_EQ(QuantileTable::Beta(0)(0xFFFFFFFF), 0u);
  EXPECT_EQ(QuantileTable::Beta(1)(0), 0xFFFFFFFFu);
  // Very small means stay in range.
  EXPECT_LT(QuantileTable::Beta(1e-6)(1u << 31), 1u << 12);
}

TEST(TruncatedNormalTable, AgreesWithTheDistributionFunction) {
  for (const double mu : {-3.0, -0.5, 0.0, 0.5, 3.0}) {
    const QuantileTable table = QuantileTable::TruncatedNormal(mu);
    const auto phi = [&](double x) { return 0.5 * std::erfc((mu - x) / std::sqrt(2.0)); };
    for (uint64_t u = 0; u < (uint64_t{1} << 32); u += 12345677) {
      const double x = 2 * (table(static_cast<uint32_t>(u)) / 4294967296.0) - 1;
      EXPECT_NEAR((phi(x) - phi(-1)) / (phi(1) - phi(-1)), u / 4294967296.0, 1e-5);
    }
  }
}

TEST(QuantileTable, IsMonotone) {
  for (const QuantileTable& table :
       {QuantileTable::Beta(0.05), QuantileTable::Beta(0.5), QuantileTable::Beta(0.97),
        QuantileTable::TruncatedNormal(-0.5)}) {
    for (size_t i = 1; i < table.knots().size(); ++i) {
      ASSERT_LE(table.knots()[i - 1], table.knots()[i]) << i;
    }
  }
}

TEST(QuantileTable, IdentityIsUniform) { EXPECT_EQ(QuantileTable()(123456789), 123456789u); }

}  // namespace
}  // namespace navit
