#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstddef>
#include <cstring>

#include "packer/image_decoders.h"

namespace navit::image_internal {
namespace {

struct Source {
  absl::string_view rest;
};

void Read(png_structp png, png_bytep out, size_t size) {
  Source* source = static_cast<Source*>(png_get_io_ptr(png));
  if (source->rest.size() < size) png_error(png, "truncated");
  std::memcpy(out, source->rest.data(), size);
  source->rest.remove_prefix(size);
}

[[noreturn]] void OnError(png_structp png, png_const_charp) { png_longjmp(png, 1); }
void OnWarning(png_structp, png_const_charp) {}

// Nothing with a destructor lives between setjmp and the end; `rows` and `decoded` are the
// caller's.
bool Decode(Source* source, png_structp png, png_infop info, uint32_t width, uint32_t height,
            const Rgb& background, DecodedImage* decoded, std::vector<uint8_t>* rgba,
            std::vector<png_bytep>* rows) {
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  png_set_read_fn(png, source, Read);
  png_set_user_limits(png, width, height);
  // Of what is not pixels nothing counts here, and libpng takes a chunk's word for its length.
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
  png_read_info(png, info);
  if (png_get_image_width(png, info) != width || png_get_image_height(png, info) != height) {
    return false;
  }
  // Palette, grey of 1, 2 and 4 bits, and tRNS become 8-bit channels.
  png_set_expand(png);
  png_set_scale_16(png);
  png_set_gray_to_rgb(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
  const unsigned channels = png_get_channels(png, info);
  const size_t row_bytes = png_get_rowbytes(png, info);
  if (png_get_bit_depth(png, info) != 8 || (channels != 3 && channels != 4) ||
      row_bytes != size_t{width} * channels) {
    return false;
  }
  Image* const image = decoded->MakeRgb(width, height);
  rows->resize(height);
  if (channels == 4) rgba->resize(row_bytes * height);
  for (uint32_t y = 0; y < height; ++y) {
    (*rows)[y] = channels == 4 ? rgba->data() + row_bytes * y : image->Row(y);
  }
  png_read_image(png, rows->data());
  if (channels == 4) {
    for (uint32_t y = 0; y < height; ++y) LayOver(background, (*rows)[y], width, image->Row(y));
  }
  return true;
}

}  // namespace

bool DecodePng(absl::string_view file, uint32_t width, uint32_t height, const Rgb& background,
               DecodedImage* image) {
  Source source{file};
  std::vector<uint8_t> rgba;
  std::vector<png_bytep> rows;
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, nullptr, OnError, OnWarning);
  if (png == nullptr) return false;
  png_infop info = png_create_info_struct(png);
  const bool decoded =
      info != nullptr && Decode(&source, png, info, width, height, background, image, &rgba, &rows);
  png_destroy_read_struct(&png, &info, nullptr);
  return decoded;
}

}  // namespace navit::image_internal
