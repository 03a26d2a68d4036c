// A plot of characters: braille cells of two by four dots.
#ifndef NAVIT_CLI_PLOT_H_
#define NAVIT_CLI_PLOT_H_

#include <string>
#include <vector>

namespace navit {

struct PlotSeries {
  std::string name;
  // Ascending.
  std::vector<double> x;
  // Values that are not finite leave a gap.
  std::vector<double> y;
};

struct PlotOptions {
  // Columns and rows in all; less than 24 columns or 4 rows are taken as these.
  int width = 80;
  int height = 16;
  // The range of y that several plots share; low > high: that of the series.
  double low = 1;
  double high = 0;
  // ANSI colour of the curve, as in "36"; empty: none.
  std::string colour;
};

// Title, curve with labels at its y axis, first and last x: lines of at most `width` columns, without
// their ends.
std::vector<std::string> PlotLines(const PlotSeries& series, const PlotOptions& options);

// Columns that the text takes on a terminal: UTF-8 characters outside of ANSI colours.
int TextColumns(const std::string& line);

}  // namespace navit

#endif  // NAVIT_CLI_PLOT_H_
