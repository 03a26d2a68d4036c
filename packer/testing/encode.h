// Small images for tests, encoded in memory.
#ifndef NAVIT_PACKER_TESTING_ENCODE_H_
#define NAVIT_PACKER_TESTING_ENCODE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "packer/image.h"

namespace navit::testing {

// A smooth picture with edges and a little noise; a function of its arguments alone.
Image MakePicture(uint32_t width, uint32_t height, uint32_t seed);

struct JpegOptions {
  int quality = 92;
  bool grey = false;
  // The four inks of `image`'s colours, inverted as Adobe writes them, with black so that 255 is
  // none: a pixel is to be seen as colour * black / 255.
  bool cmyk = false;
  uint8_t black = 255;
  // Of cmyk: coded as luma and chroma; without Adobe's marker and so not inverted.
  bool ycck = false;
  bool adobe = true;
  bool progressive = false;
  // EXIF orientation; 0: no EXIF segment. `big_endian`: "MM" byte order.
  int orientation = 0;
  bool big_endian = false;
};
std::string EncodeJpeg(const Image& image, const JpegOptions& options = {});

enum class PngKind {
  kRgb,
  kGrey,
  kGrey1,
  kGrey16,
  kRgb16,
  kRgba,
  kGreyAlpha,
  kPalette,
  kTransparentPalette,
  kRgba16,
  kGreyKey,
  kGrey16Key,
  kRgb16Key,
};
// Palettes: 2-bit red, green and blue; colour i of a transparent one has alpha 4 * i. Alpha: rises
// from left to right from 0 to 255. Key: the value of the first pixel is transparent.
// `orientation`: in an eXIf chunk, unless it is 0.
std::string EncodePng(const Image& image, PngKind kind = PngKind::kRgb, bool interlaced = false,
                      int orientation = 0);

// Lossy at `quality`, or lossless when it is negative. `alpha` as for PNG.
std::string EncodeWebp(const Image& image, float quality, bool alpha = false);

// `webp`, of one picture, with an EXIF chunk behind its pixels; with the prefix of a JPEG's segment
// or without.
std::string AddWebpOrientation(const std::string& webp, const Image& image, int orientation,
                               bool prefixed);

// Lossless; `second` follows on `first`, both with their upper left corner at (x, y), even, of a
// canvas of width x height.
std::string EncodeAnimatedWebp(uint32_t width, uint32_t height, const Image& first,
                               const Image& second, uint32_t x, uint32_t y, bool alpha);

}  // namespace navit::testing

#endif  // NAVIT_PACKER_TESTING_ENCODE_H_
