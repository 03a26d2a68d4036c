// One decoder per format, called by DecodeImage with its contract and after its checks.
#ifndef NAVIT_PACKER_IMAGE_DECODERS_H_
#define NAVIT_PACKER_IMAGE_DECODERS_H_

#include <cstdint>

#include "absl/strings/string_view.h"
#include "packer/image.h"

namespace navit::image_internal {

bool DecodeJpeg(absl::string_view file, uint32_t width, uint32_t height, uint32_t target_width,
                uint32_t target_height, DecodedImage* image);
bool DecodePng(absl::string_view file, uint32_t width, uint32_t height, const Rgb& background,
               DecodedImage* image);
bool DecodeWebp(absl::string_view file, uint32_t width, uint32_t height, const Rgb& background,
                DecodedImage* image);

// `count` pixels of RGBA at `rgba` over `background`, as RGB at `rgb`.
void LayOver(const Rgb& background, const uint8_t* rgba, uint32_t count, uint8_t* rgb);

}  // namespace navit::image_internal

#endif  // NAVIT_PACKER_IMAGE_DECODERS_H_
