#include <webp/decode.h>
#include <webp/demux.h>

#include <cstddef>
#include <memory>

#include "packer/image_decoders.h"

namespace navit::image_internal {
namespace {

// A still picture of width x height pixels, into `image` from pixel (x, y) on.
bool DecodeStill(const uint8_t* bytes, size_t size, uint32_t x, uint32_t y, uint32_t width,
                 uint32_t height, const Rgb& background, Image* image) {
  WebPDecoderConfig config;
  if (!WebPInitDecoderConfig(&config)) return false;
  if (WebPGetFeatures(bytes, size, &config.input) != VP8_STATUS_OK || config.input.has_animation ||
      config.input.width != static_cast<int>(width) ||
      config.input.height != static_cast<int>(height)) {
    return false;
  }
  uint8_t* const corner = image->Row(y) + size_t{3} * x;
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
    config.output.u.RGBA.rgba = corner;
    config.output.u.RGBA.stride = static_cast<int>(image->stride);
    config.output.u.RGBA.size =
        image->bytes.size() - static_cast<size_t>(corner - image->bytes.data());
  }
  const bool whole = WebPDecode(bytes, size, &config) == VP8_STATUS_OK;
  WebPFreeDecBuffer(&config.output);
  if (!whole) return false;
  if (config.input.has_alpha) {
    for (uint32_t row = 0; row < height; ++row) {
      LayOver(background, rgba.data() + size_t{4} * width * row, width,
              image->Row(y + row) + size_t{3} * x);
    }
  }
  return true;
}

// The first frame; what it leaves free of the canvas is transparent.
bool DecodeFirstFrame(absl::string_view file, const Rgb& background, Image* image) {
  const WebPData data = {reinterpret_cast<const uint8_t*>(file.data()), file.size()};
  const std::unique_ptr<WebPDemuxer, void (*)(WebPDemuxer*)> demuxer(WebPDemux(&data),
                                                                     WebPDemuxDelete);
  WebPIterator frame;
  if (demuxer == nullptr || !WebPDemuxGetFrame(demuxer.get(), 1, &frame)) return false;
  const uint32_t x = static_cast<uint32_t>(frame.x_offset);
  const uint32_t y = static_cast<uint32_t>(frame.y_offset);
  const uint32_t width = static_cast<uint32_t>(frame.width);
  const uint32_t height = static_cast<uint32_t>(frame.height);
  bool decoded = x <= image->width && width <= image->width - x && y <= image->height &&
                 height <= image->height - y;
  if (decoded) {
    for (uint32_t row = 0; row < image->height; ++row) {
      for (uint32_t i = 0; i < 3 * image->width; ++i) image->Row(row)[i] = background[i % 3];
    }
    decoded = DecodeStill(frame.fragment.bytes, frame.fragment.size, x, y, width, height,
                          background, image);
  }
  WebPDemuxReleaseIterator(&frame);
  return decoded;
}

}  // namespace

bool DecodeWebp(absl::string_view file, uint32_t width, uint32_t height, const Rgb& background,
                DecodedImage* decoded) {
  const uint8_t* const bytes = reinterpret_cast<const uint8_t*>(file.data());
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(bytes, file.size(), &features) != VP8_STATUS_OK ||
      features.width != static_cast<int>(width) || features.height != static_cast<int>(height)) {
    return false;
  }
  Image* const image = decoded->MakeRgb(width, height);
  return features.has_animation
             ? DecodeFirstFrame(file, background, image)
             : DecodeStill(bytes, file.size(), 0, 0, width, height, background, image);
}

}  // namespace navit::image_internal
