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
  // The four inks of `image`'s colours with no black, inverted as Adobe writes them.
  bool cmyk = false;
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
  kTransparentPalette
};
// Palettes: 2-bit red, green and blue. Alpha: rises from left to right from 0 to 255.
std::string EncodePng(const Image& image, PngKind kind = PngKind::kRgb, bool interlaced = false);

// Lossy at `quality`, or lossless when it is negative. `alpha` as for PNG.
std::string EncodeWebp(const Image& image, float quality, bool alpha = false);

}  // namespace navit::testing

#endif  // NAVIT_PACKER_TESTING_ENCODE_H_
