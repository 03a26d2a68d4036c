#include <webp/decode.h>

#include <cstddef>

#include "packer/image_decoders.h"

namespace navit::image_internal {

bool DecodeWebp(absl::string_view file, uint32_t width, uint32_t height, DecodedImage* decoded) {
  WebPDecoderConfig config;
  if (!WebPInitDecoderConfig(&config)) return false;
  const uint8_t* data = reinterpret_cast<const uint8_t*>(file.data());
  if (WebPGetFeatures(data, file.size(), &config.input) != VP8_STATUS_OK ||
      config.input.has_animation || config.input.width != static_cast<int>(width) ||
      config.input.height != static_cast<int>(height)) {
    return false;
  }
  Image* const image = decoded->MakeRgb(width, height);
  std::vector<uint8_t> rgba;
  config.output.is_external_memory = 1;
  if (config.input.has_alpha) {
    rgba.resize(size_t{4} * width * height);
    config.output.colorspace = MODE_RGBA;
    config.output.u.RGBA.rgba = rgba.data();
    config.output.u.RGBA.stride = static_cast<int>(4 * width);
    config.output.u.RGBA.size = rgba.size();
  } else {
    config.output.colorspace = MODE_RGB;
    config.output.u.RGBA.rgba = image->bytes.data();
    config.output.u.RGBA.stride = static_cast<int>(image->stride);
    config.output.u.RGBA.size = image->bytes.size();
  }
  const bool whole = WebPDecode(data, file.size(), &config) == VP8_STATUS_OK;
  WebPFreeDecBuffer(&config.output);
  if (!whole) return false;
  if (config.input.has_alpha) {
    for (uint32_t y = 0; y < height; ++y) {
      OverWhite(rgba.data() + size_t{4} * width * y, width, image->Row(y));
    }
  }
  return true;
}

}  // namespace navit::image_internal
