// Size, format and orientation of an image from its first bytes, without decoding it.
#ifndef NAVIT_PACKER_IMAGE_HEADER_H_
#define NAVIT_PACKER_IMAGE_HEADER_H_

#include <cstdint>

#include "absl/strings/string_view.h"
#include "proto/data.pb.h"

namespace navit {

struct ImageHeader {
  // By the first bytes; a file's name never counts. IMAGE_FORMAT_OTHER: none of ours.
  // IMAGE_FORMAT_NONE: no bytes at all.
  v1::ShardIndex::ImageFormat format = v1::ShardIndex::IMAGE_FORMAT_NONE;
  // As stored in the file, before orientation, of an animation its canvas; 0: the header could not
  // be read.
  uint32_t width = 0;
  uint32_t height = 0;
  // EXIF orientation, 1 to 8; 1 when there is none. 5 to 8 exchange width and height.
  uint32_t orientation = 1;
};

// Never fails: what cannot be read leaves width and height at 0. `bytes` may be the beginning of a
// longer file, as long as it holds the header; PNG and WebP may have their EXIF data at the end.
ImageHeader ReadImageHeader(absl::string_view bytes);

}  // namespace navit

#endif  // NAVIT_PACKER_IMAGE_HEADER_H_
