#include "cli/plot.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace navit {
namespace {

constexpr int kLabelColumns = 10;

// Dots of a braille cell by [row][column], as Unicode numbers them (U+2800 plus these bits).
constexpr uint8_t kDots[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};

std::string BrailleCharacter(uint8_t dots) {
  if (dots == 0) return " ";
  return {static_cast<char>(0xe2), static_cast<char>(0xa0 | dots >> 6),
          static_cast<char>(0x80 | (dots & 0x3f))};
}

class Canvas {
 public:
  Canvas(int columns, int rows)
      : columns_(columns), rows_(rows), cells_(static_cast<size_t>(columns * rows), 0) {}

  int width() const { return 2 * columns_; }
  int height() const { return 4 * rows_; }

  void Set(int x, int y) {
    if (x < 0 || y < 0 || x >= width() || y >= height()) return;
    cells_[static_cast<size_t>(y / 4 * columns_ + x / 2)] |= kDots[y % 4][x % 2];
  }
  void Line(int x0, int y0, int x1, int y1) {
    const int steps = std::max({std::abs(x1 - x0), std::abs(y1 - y0), 1});
    for (int i = 0; i <= steps; ++i) {
      Set(x0 + (x1 - x0) * i / steps, y0 + (y1 - y0) * i / steps);
    }
  }
  std::string Row(int row) const {
    std::string text;
    for (int c = 0; c < columns_; ++c) {
      text += BrailleCharacter(cells_[static_cast<size_t>(row * columns_ + c)]);
    }
    return text;
  }

 private:
  const int columns_;
  const int rows_;
  std::vector<uint8_t> cells_;
};

}  // namespace

int TextColumns(const std::string& line) {
  int columns = 0;
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\033') {
      while (i < line.size() && line[i] != 'm') ++i;
      continue;
    }
    columns += (static_cast<unsigned char>(line[i]) & 0xc0) != 0x80;
  }
  return columns;
}

std::vector<std::string> PlotLines(const PlotSeries& series, const PlotOptions& options) {
  const int columns = std::max(options.width, 24) - kLabelColumns - 2;
  const int rows = std::max(options.height, 4) - 3;
  double low = options.low, high = options.high;
  if (low > high) {
    for (const double y : series.y) {
      if (!std::isfinite(y)) continue;
      if (low > high) low = high = y;
      low = std::min(low, y);
      high = std::max(high, y);
    }
  }
  if (low > high) return {series.name, "no values"};
  if (low == high) {
    const double room = low == 0 ? 1 : std::abs(low) * 0.1;
    low -= room;
    high += room;
  }
  Canvas canvas(columns, rows);
  const double first = series.x.front();
  const double span = std::max(series.x.back() - first, 1e-9);
  const auto column = [&](double x) {
    return static_cast<int>(std::lround((x - first) / span * (canvas.width() - 1)));
  };
  const auto row = [&](double y) {
    return static_cast<int>(std::lround((high - y) / (high - low) * (canvas.height() - 1)));
  };
  bool pen = false;
  int last_x = 0, last_y = 0;
  for (size_t i = 0; i < series.x.size(); ++i) {
    if (!std::isfinite(series.y[i])) {
      pen = false;
      continue;
    }
    const int x = column(series.x[i]), y = row(series.y[i]);
    canvas.Line(pen ? last_x : x, pen ? last_y : y, x, y);
    pen = true;
    last_x = x;
    last_y = y;
  }
  std::vector<std::string> lines = {series.name.substr(0, static_cast<size_t>(options.width))};
  for (int r = 0; r < rows; ++r) {
    // A label at the top, the middle and the bottom.
    std::string label;
    if (r == 0 || r == rows - 1 || r == (rows - 1) / 2) {
      label = absl::StrFormat("%.4g", high - (high - low) * (4 * r + 1.5) / (canvas.height() - 1));
      if (r == 0) label = absl::StrFormat("%.4g", high);
      if (r == rows - 1) label = absl::StrFormat("%.4g", low);
    }
    std::string curve = canvas.Row(r);
    if (!options.colour.empty()) curve = absl::StrCat("\033[", options.colour, "m", curve, "\033[0m");
    lines.push_back(absl::StrFormat("%*s ┤", kLabelColumns, label) + curve);
  }
  std::string axis = "└";
  for (int c = 0; c < columns; ++c) axis += "─";
  lines.push_back(std::string(kLabelColumns + 1, ' ') + axis);
  const std::string begin = absl::StrFormat("%.0f", first);
  const std::string end = absl::StrFormat("%.0f", series.x.back());
  const int gap = std::max(1, columns - static_cast<int>(begin.size() + end.size()));
  lines.push_back(absl::StrCat(std::string(kLabelColumns + 2, ' '), begin,
                               std::string(static_cast<size_t>(gap), ' '), end));
  return lines;
}

}  // namespace navit
