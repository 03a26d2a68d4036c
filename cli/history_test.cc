#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/plot.h"
#include "cli/tensorboard.h"

namespace navit {
namespace {

TEST(TensorboardTest, ChecksumsAreThoseOfTheStandard) {
  // RFC 3720, B.4, and the check value of the polynomial.
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283);
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aa);
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62a8ab43);
  EXPECT_EQ(Crc32c(""), 0);
}

TEST(TensorboardTest, ARecordFramesItsBytes) {
  const std::string record = TfRecord("abc");
  ASSERT_EQ(record.size(), 8 + 4 + 3 + 4);
  EXPECT_EQ(record.substr(0, 8), std::string("\3\0\0\0\0\0\0\0", 8));
  EXPECT_EQ(record.substr(12, 3), "abc");
}

PlotSeries Ramp(int points) {
  PlotSeries series;
  series.name = "job: loss by step";
  for (int i = 0; i < points; ++i) {
    series.x.push_back(i + 1);
    series.y.push_back(i);
  }
  return series;
}

TEST(PlotTest, NoLineIsWiderThanItMayBe) {
  for (const int width : {24, 60, 80, 133}) {
    PlotOptions options;
    options.width = width;
    options.colour = "36";
    const auto lines = PlotLines(Ramp(500), options);
    EXPECT_EQ(lines.size(), static_cast<size_t>(options.height));
    for (const std::string& line : lines) EXPECT_LE(TextColumns(line), width) << line;
  }
}

TEST(PlotTest, ARampRunsFromOneCornerToTheOther) {
  PlotOptions options;
  options.width = 32;
  options.height = 7;
  const auto lines = PlotLines(Ramp(100), options);
  EXPECT_NE(lines[1].find("99 ┤"), std::string::npos) << absl::StrJoin(lines, "\n");
  EXPECT_EQ(lines[4].find("         0 ┤"), 0);
  // Top right and bottom left dots: the last cell of the first row, the first one of the last.
  EXPECT_NE(lines[1].substr(lines[1].size() - 3), "  ");
  EXPECT_NE(lines[4].substr(std::string("         0 ┤").size(), 1), " ");
  EXPECT_EQ(lines[1].substr(std::string("        99 ┤").size(), 1), " ");
}

TEST(PlotTest, ValuesThatAreNoNumbersLeaveAGap) {
  PlotSeries series = Ramp(5);
  series.y[2] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(PlotLines(series, PlotOptions()).size(), 16);
  for (double& y : series.y) y = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(PlotLines(series, PlotOptions())[1], "no values");
}

TEST(PlotTest, AConstantHasARangeOfItsOwn) {
  PlotSeries series = Ramp(5);
  for (double& y : series.y) y = 2;
  EXPECT_NE(absl::StrJoin(PlotLines(series, PlotOptions()), "\n").find("2.2 ┤"),
            std::string::npos);
}

}  // namespace
}  // namespace navit
