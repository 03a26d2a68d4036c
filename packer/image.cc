#include "packer/image.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "packer/image_decoders.h"
#include "packer/limits.h"

namespace navit {

void Image::Resize(uint32_t new_width, uint32_t new_height, uint32_t new_channels) {
  width = new_width;
  height = new_height;
  channels = new_channels;
  stride = (size_t{width} * channels + kRowUnit - 1) / kRowUnit * kRowUnit;
  if (bytes.size() < stride * height) bytes.resize(stride * height);
}

Image* DecodedImage::MakeRgb(uint32_t width, uint32_t height) {
  colors = Colors::kRgb;
  planes[0].samples.Resize(width, height);
  planes[0].left = planes[0].top = 0;
  planes[0].extent_width = width;
  planes[0].extent_height = height;
  return &planes[0].samples;
}

v1::HoleReason DecodeImage(absl::string_view file, v1::ShardIndex::ImageFormat format,
                           uint32_t width, uint32_t height, uint32_t target_width,
                           uint32_t target_height, DecodedImage* image, const Rgb& background) {
  if (file.size() > kMaxImageBytes || uint64_t{width} * height > kMaxImagePixels) {
    return v1::HOLE_REASON_TOO_LARGE;
  }
  bool decoded = false;
  switch (format) {
    case v1::ShardIndex::JPEG:
      decoded = image_internal::DecodeJpeg(file, width, height, target_width, target_height, image);
      break;
    case v1::ShardIndex::PNG:
      decoded = image_internal::DecodePng(file, width, height, background, image);
      break;
    case v1::ShardIndex::WEBP:
      decoded = image_internal::DecodeWebp(file, width, height, background, image);
      break;
    default:
      return v1::HOLE_REASON_UNSUPPORTED_FORMAT;
  }
  return decoded ? v1::HOLE_REASON_NONE : v1::HOLE_REASON_DECODE_ERROR;
}

namespace {

// An orientation as a transpose (5 to 8), then a mirror of columns and of rows of the result.
bool Transposes(uint32_t orientation) { return orientation >= 5; }
bool MirrorsColumns(uint32_t orientation) {
  return orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7;
}
bool MirrorsRows(uint32_t orientation) {
  return orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8;
}

// [begin, begin + length) of a picture's [0, whole) in a plane that shows it in [at, at + extent):
// `at` and `extent` become those of the part, counted from the first sample that it touches.
// Returns that sample, and the number of those touched in `count`, at most `samples`.
uint32_t CropAxis(uint32_t begin, uint32_t length, uint32_t whole, uint32_t samples, double* at,
                  double* extent, uint32_t* count) {
  const double from = *at + *extent * begin / whole;
  const uint32_t first = std::min(static_cast<uint32_t>(from), samples - 1);
  *extent = *extent * length / whole;
  *at = from - first;
  *count = std::min(static_cast<uint32_t>(std::ceil(*at + *extent)), samples - first);
  return first;
}

}  // namespace

void CropTo(const Part& part, uint32_t width, uint32_t height, DecodedImage* image) {
  if (part.width == width && part.height == height) return;
  const bool one =
      image->colors == DecodedImage::Colors::kRgb || image->colors == DecodedImage::Colors::kGrey;
  for (int p = 0; p < (one ? 1 : 3); ++p) {
    DecodedImage::Plane& plane = image->planes[p];
    Image& samples = plane.samples;
    uint32_t columns, rows;
    const uint32_t x = CropAxis(part.left, part.width, width, samples.width, &plane.left,
                                &plane.extent_width, &columns);
    const uint32_t y = CropAxis(part.top, part.height, height, samples.height, &plane.top,
                                &plane.extent_height, &rows);
    const uint8_t* from = samples.Row(y) + size_t{x} * samples.channels;
    const size_t from_stride = samples.stride;
    samples.Resize(columns, rows, samples.channels);
    // Rows move towards the front alone: none is written over before it is read.
    for (uint32_t row = 0; row < rows; ++row) {
      std::memmove(samples.Row(row), from + from_stride * row, size_t{columns} * samples.channels);
    }
  }
}

Part StoredPart(const Part& part, uint32_t orientation, uint32_t width, uint32_t height) {
  if (Transposes(orientation)) std::swap(width, height);
  Part stored = part;
  if (MirrorsColumns(orientation)) stored.left = width - part.left - part.width;
  if (MirrorsRows(orientation)) stored.top = height - part.top - part.height;
  if (Transposes(orientation)) {
    std::swap(stored.left, stored.top);
    std::swap(stored.width, stored.height);
  }
  return stored;
}

uint32_t FlippedOrientation(uint32_t orientation) { return ((orientation - 1) ^ 1) + 1; }

void ApplyOrientation(const Image& source, uint32_t orientation, Image* result) {
  const bool transpose = Transposes(orientation);
  const bool mirror_columns = MirrorsColumns(orientation);
  const bool mirror_rows = MirrorsRows(orientation);
  result->Resize(transpose ? source.height : source.width,
                 transpose ? source.width : source.height);
  for (uint32_t y = 0; y < result->height; ++y) {
    uint8_t* to = result->Row(y);
    const uint32_t v = mirror_rows ? result->height - 1 - y : y;
    for (uint32_t x = 0; x < result->width; ++x) {
      const uint32_t u = mirror_columns ? result->width - 1 - x : x;
      const uint8_t* from =
          transpose ? source.Row(u) + size_t{3} * v : source.Row(v) + size_t{3} * u;
      std::memcpy(to + size_t{3} * x, from, 3);
    }
  }
}

namespace image_internal {

void LayOver(const Rgb& background, const uint8_t* rgba, uint32_t count, uint8_t* rgb) {
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t alpha = rgba[4 * size_t{i} + 3];
    for (int c = 0; c < 3; ++c) {
      // Exact rounding of value / 255 for value < 2^16.
      const uint32_t value = rgba[4 * size_t{i} + c] * alpha + background[c] * (255 - alpha) + 128;
      rgb[3 * size_t{i} + c] = static_cast<uint8_t>((value + (value >> 8)) >> 8);
    }
  }
}

}  // namespace image_internal
}  // namespace navit
