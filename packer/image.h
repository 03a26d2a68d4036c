// Images in memory, and decoding of JPEG, PNG and WebP to 8-bit RGB.
#ifndef NAVIT_PACKER_IMAGE_H_
#define NAVIT_PACKER_IMAGE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"
#include "proto/data.pb.h"
#include "proto/pack.pb.h"

namespace navit {

// 8-bit RGB, rows of `stride` bytes. Every row, the last one too, may be read up to `stride`, and
// kSlack bytes follow the last row, so that vector loads need no tail.
struct Image {
  static constexpr size_t kSlack = 64;

  uint32_t width = 0;
  uint32_t height = 0;
  size_t stride = 0;
  std::vector<uint8_t> bytes;

  // Reuses the memory; contents are undefined. width, height > 0.
  void Resize(uint32_t new_width, uint32_t new_height);
  uint8_t* Row(uint32_t y) { return bytes.data() + stride * y; }
  const uint8_t* Row(uint32_t y) const { return bytes.data() + stride * y; }
};

// Decodes `file`, which by its index is a `format` of width x height pixels before orientation
// (which is not applied). JPEGs are scaled in the DCT domain to the smallest multiple of 1/8 that
// still has at least target_width x target_height pixels; others come at full size. Grey becomes
// RGB, transparency is laid over white, CMYK is converted without profile, 16 bits are scaled to 8;
// colour profiles and gamma are ignored.
//
// HOLE_REASON_NONE: `image` is set. Otherwise why not: DECODE_ERROR (damaged, truncated, or not of
// the stated size), UNSUPPORTED_FORMAT, TOO_LARGE (see limits.h). Never crashes on any bytes.
v1::HoleReason DecodeImage(absl::string_view file, v1::ShardIndex::ImageFormat format,
                           uint32_t width, uint32_t height, uint32_t target_width,
                           uint32_t target_height, Image* image);

// `source` as EXIF orientation 1 to 8 says it is to be seen. `source` and `result` differ.
void ApplyOrientation(const Image& source, uint32_t orientation, Image* result);

}  // namespace navit

#endif  // NAVIT_PACKER_IMAGE_H_
