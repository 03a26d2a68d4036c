// Images in memory, and decoding of JPEG, PNG and WebP to 8-bit samples.
#ifndef NAVIT_PACKER_IMAGE_H_
#define NAVIT_PACKER_IMAGE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"
#include "proto/data.pb.h"
#include "proto/pack.pb.h"

namespace navit {

// 8-bit samples, `channels` interleaved ones a pixel: RGB, or one plane of an image. Rows of
// `stride` bytes, a multiple of kRowUnit; every row, the last one too, may be read up to its
// stride.
struct Image {
  static constexpr size_t kRowUnit = 64;

  uint32_t width = 0;
  uint32_t height = 0;
  uint32_t channels = 3;
  size_t stride = 0;
  // Never shrinks, so that images in turn find it big enough: no allocation, nothing zeroed.
  std::vector<uint8_t> bytes;

  // Contents are undefined. All > 0.
  void Resize(uint32_t new_width, uint32_t new_height, uint32_t new_channels = 3);
  uint8_t* Row(uint32_t y) { return bytes.data() + stride * y; }
  const uint8_t* Row(uint32_t y) const { return bytes.data() + stride * y; }
};

// What a decoder makes. JPEGs stay as the file has them, in planes, chroma often smaller: whoever
// resizes converts colours when the pixels are few.
struct DecodedImage {
  enum class Colors {
    // planes[0], interleaved.
    kRgb,
    // planes[0], of one channel.
    kGrey,
    // Three planes of one channel: red, green, blue.
    kRgbPlanes,
    // Three planes of one channel: Y, Cb, Cr of JFIF (full range, ITU-R BT.601, chroma around 128).
    kYcc,
  };
  struct Plane {
    Image samples;
    // The part that the image covers, in samples: from (left, top), both in [0, 1), to within the
    // last column and row. The samples at its borders may stand for less than a whole one.
    double left = 0;
    double top = 0;
    double extent_width = 0;
    double extent_height = 0;
  };

  Colors colors = Colors::kRgb;
  std::array<Plane, 3> planes;

  size_t plane_count() const {
    return colors == Colors::kRgb || colors == Colors::kGrey ? 1 : planes.size();
  }
  // An image of interleaved RGB to be filled.
  Image* MakeRgb(uint32_t width, uint32_t height);
};

// A rectangle of pixels.
struct Part {
  uint32_t left = 0;
  uint32_t top = 0;
  uint32_t width = 0;
  uint32_t height = 0;
};

// Red, green, blue.
using Rgb = std::array<uint8_t, 3>;
inline constexpr Rgb kWhite = {255, 255, 255};

// Decodes `file`, which by its index is a `format` of width x height pixels before orientation
// (which is not applied). JPEGs are scaled in the DCT domain to the smallest of 1/8, 1/4, 1/2 and 1
// that still has at least target_width x target_height pixels (other eighths have slow transforms:
// they cost more than the next larger one of these); others come at full size. Transparency is laid
// over `background`, CMYK is converted without profile, 16 bits are scaled to 8; colour profiles
// and gamma are ignored. Of an animation the first frame is taken, on its canvas.
//
// HOLE_REASON_NONE: `image` is set. Otherwise why not: DECODE_ERROR (damaged, truncated, or not of
// the stated size), UNSUPPORTED_FORMAT, TOO_LARGE (see limits.h). Never crashes on any bytes.
v1::HoleReason DecodeImage(absl::string_view file, v1::ShardIndex::ImageFormat format,
                           uint32_t width, uint32_t height, uint32_t target_width,
                           uint32_t target_height, DecodedImage* image,
                           const Rgb& background = kWhite);

// Leaves of `image`, which shows a picture of width x height pixels, the part `part` within it:
// moves its samples to the upper left corner.
void CropTo(const Part& part, uint32_t width, uint32_t height, DecodedImage* image);

// `part` of a picture as EXIF orientation 1 to 8 says it is to be seen, in the picture as it is
// stored, with width x height pixels.
Part StoredPart(const Part& part, uint32_t orientation, uint32_t width, uint32_t height);

// The orientation that shows what `orientation` shows, mirrored from left to right.
uint32_t FlippedOrientation(uint32_t orientation);

// `source`, of RGB, as EXIF orientation 1 to 8 says it is to be seen. `source` and `result` differ.
void ApplyOrientation(const Image& source, uint32_t orientation, Image* result);

}  // namespace navit

#endif  // NAVIT_PACKER_IMAGE_H_
