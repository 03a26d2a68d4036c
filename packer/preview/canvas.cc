#include "packer/preview/canvas.h"

#include <png.h>

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "packer/preview/font.h"

namespace navit {

Canvas::Canvas(int width, int height)
    : width_(width), height_(height), pixels_(size_t{3} * width * height, 255) {}

Rgb Canvas::At(int x, int y) const {
  const uint8_t* pixel = &pixels_[3 * (size_t{1} * y * width_ + x)];
  return {pixel[0], pixel[1], pixel[2]};
}

void Canvas::Blend(int x, int y, Rgb colour, double opacity) {
  if (x < 0 || y < 0 || x >= width_ || y >= height_) return;
  uint8_t* pixel = &pixels_[3 * (size_t{1} * y * width_ + x)];
  for (size_t c = 0; c < 3; ++c) {
    pixel[c] = static_cast<uint8_t>(std::lround(pixel[c] + (colour[c] - pixel[c]) * opacity));
  }
}

void Canvas::Fill(const Box& box, Rgb colour, double opacity) {
  for (int y = std::max(0, box.top); y < std::min(height_, box.bottom()); ++y) {
    for (int x = std::max(0, box.left); x < std::min(width_, box.right()); ++x) {
      Blend(x, y, colour, opacity);
    }
  }
}

void Canvas::Outline(const Box& box, Rgb colour, int thickness) {
  Fill({box.left, box.top, box.width, thickness}, colour);
  Fill({box.left, box.bottom() - thickness, box.width, thickness}, colour);
  Fill({box.left, box.top, thickness, box.height}, colour);
  Fill({box.right() - thickness, box.top, thickness, box.height}, colour);
}

void Canvas::Hatch(const Box& box, Rgb colour, int period) {
  for (int y = box.top; y < box.bottom(); ++y) {
    for (int x = box.left; x < box.right(); ++x) {
      if ((x + y) % period < (period + 2) / 4) Blend(x, y, colour, 1);
    }
  }
}

void Canvas::Trapezoid(int top, int top_left, int top_right, int bottom, int bottom_left,
                       int bottom_right, Rgb colour, double opacity) {
  for (int y = top; y < bottom; ++y) {
    const double t = (y - top + 0.5) / (bottom - top);
    const double left = top_left + t * (bottom_left - top_left);
    const double right = top_right + t * (bottom_right - top_right);
    for (int x = static_cast<int>(std::floor(left)); x < right; ++x) {
      // The share of the pixel that lies inside: smooth slanted edges.
      const double inside = std::min(right, x + 1.0) - std::max(left, static_cast<double>(x));
      if (inside > 0) Blend(x, y, colour, opacity * std::min(1.0, inside));
    }
  }
}

void Canvas::Text(int left, int top, absl::string_view text, Rgb colour, bool bold, int scale) {
  for (const char c : text) {
    const Glyph glyph = GlyphOf(c, bold);
    for (int y = 0; y < static_cast<int>(kGlyphHeight); ++y) {
      for (int x = 0; x < static_cast<int>(kGlyphWidth); ++x) {
        if ((glyph[y] >> (kGlyphWidth - 1 - x) & 1) == 0) continue;
        Fill({left + x * scale, top + y * scale, scale, scale}, colour);
      }
    }
    left += static_cast<int>(kGlyphWidth) * scale;
  }
}

void Canvas::Paste(int left, int top, const Image& image) {
  for (int y = 0; y < static_cast<int>(image.height); ++y) {
    const uint8_t* row = image.Row(static_cast<uint32_t>(y));
    for (int x = 0; x < static_cast<int>(image.width); ++x, row += 3) {
      Blend(left + x, top + y, {row[0], row[1], row[2]}, 1);
    }
  }
}

int Canvas::TextWidth(absl::string_view text, int scale) {
  return static_cast<int>(text.size() * kGlyphWidth) * scale;
}
int Canvas::TextHeight(int scale) { return static_cast<int>(kGlyphHeight) * scale; }

absl::StatusOr<std::string> Canvas::EncodePng() const {
  png_image image = {};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(width_);
  image.height = static_cast<png_uint_32>(height_);
  image.format = PNG_FORMAT_RGB;
  std::string bytes(PNG_IMAGE_PNG_SIZE_MAX(image), '\0');
  png_alloc_size_t size = bytes.size();
  if (png_image_write_to_memory(&image, bytes.data(), &size, 0, pixels_.data(), 3 * width_,
                                nullptr) == 0) {
    return absl::ResourceExhaustedError(absl::StrCat("the PNG cannot be made: ", image.message));
  }
  bytes.resize(size);
  return bytes;
}

}  // namespace navit
