// A picture to draw on: rectangles, trapezoids, hatching, text, images; encoded as PNG.
#ifndef NAVIT_PACKER_PREVIEW_CANVAS_H_
#define NAVIT_PACKER_PREVIEW_CANVAS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "packer/image.h"

namespace navit {

// A rectangle of pixels; parts that lie outside of the canvas are not drawn.
struct Box {
  int left = 0;
  int top = 0;
  int width = 0;
  int height = 0;

  int right() const { return left + width; }
  int bottom() const { return top + height; }
};

class Canvas {
 public:
  // White. Sides in [1, 2^15].
  Canvas(int width, int height);

  int width() const { return width_; }
  int height() const { return height_; }
  Rgb At(int x, int y) const;

  // `opacity` in [0, 1]: what is below shows through.
  void Fill(const Box& box, Rgb colour, double opacity = 1);
  // A frame of `thickness` pixels just inside of `box`.
  void Outline(const Box& box, Rgb colour, int thickness = 1);
  // Diagonal stripes, `period` pixels from one to the next, over what is there.
  void Hatch(const Box& box, Rgb colour, int period = 6);
  // The area between the lines top_left..top_right at height `top` and bottom_left..bottom_right at
  // height `bottom`.
  void Trapezoid(int top, int top_left, int top_right, int bottom, int bottom_left,
                 int bottom_right, Rgb colour, double opacity);
  // Its upper left corner at (left, top). `scale`: pixels a side of each of the font's.
  void Text(int left, int top, absl::string_view text, Rgb colour, bool bold = false,
            int scale = 1);
  void Paste(int left, int top, const Image& image);

  // Pixels that Text takes.
  static int TextWidth(absl::string_view text, int scale = 1);
  static int TextHeight(int scale = 1);

  // ResourceExhausted: no memory for it.
  absl::StatusOr<std::string> EncodePng() const;

 private:
  void Blend(int x, int y, Rgb colour, double opacity);

  const int width_;
  const int height_;
  // [height, width, 3].
  std::vector<uint8_t> pixels_;
};

}  // namespace navit

#endif  // NAVIT_PACKER_PREVIEW_CANVAS_H_
