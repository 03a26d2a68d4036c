#include "packer/testing/encode.h"

#include <jpeglib.h>
#include <png.h>
#include <webp/encode.h>

#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace navit::testing {
namespace {

uint8_t Alpha(uint32_t x, uint32_t width) {
  return static_cast<uint8_t>(width == 1 ? 255 : 255 * x / (width - 1));
}

// A TIFF structure of one directory entry: the orientation.
std::string Tiff(int orientation, bool big_endian) {
  std::string tiff =
      big_endian ? std::string("MM\0*\0\0\0\x08", 8) : std::string("II*\0\x08\0\0\0", 8);
  const auto u16 = [&](int v) {
    const char low = static_cast<char>(v), high = static_cast<char>(v >> 8);
    tiff.push_back(big_endian ? high : low);
    tiff.push_back(big_endian ? low : high);
  };
  const auto u32 = [&](int v) {
    u16(big_endian ? v >> 16 : v & 0xFFFF);
    u16(big_endian ? v & 0xFFFF : v >> 16);
  };
  u16(1);
  u16(0x0112);
  u16(3);
  u32(1);
  u16(orientation);
  u16(0);
  u32(0);
  return tiff;
}

std::string ExifSegment(int orientation, bool big_endian) {
  return std::string("Exif\0\0", 6) + Tiff(orientation, big_endian);
}

std::string LittleEndian(uint32_t value, int bytes) {
  std::string result;
  for (int i = 0; i < bytes; ++i) result.push_back(static_cast<char>(value >> (8 * i)));
  return result;
}

std::string Chunk(const std::string& name, const std::string& data) {
  return name + LittleEndian(static_cast<uint32_t>(data.size()), 4) + data +
         std::string(data.size() % 2, '\0');
}

// The chunks of pixels of a still WebP, which lie behind its header or, where there is one, VP8X.
std::string WebpPixels(const std::string& webp) {
  return webp.substr(webp.compare(12, 4, "VP8X") == 0 ? 30 : 12);
}

std::string ExtendedWebp(uint32_t width, uint32_t height, uint8_t flags,
                         const std::string& chunks) {
  const std::string header = std::string(1, static_cast<char>(flags)) + std::string(3, '\0') +
                             LittleEndian(width - 1, 3) + LittleEndian(height - 1, 3);
  return Chunk("RIFF", "WEBP" + Chunk("VP8X", header) + chunks);
}

void AppendPng(png_structp png, png_bytep bytes, size_t size) {
  static_cast<std::string*>(png_get_io_ptr(png))->append(reinterpret_cast<char*>(bytes), size);
}

// One row of `image` as PNG samples of `kind`.
std::vector<uint8_t> PngRow(const Image& image, uint32_t y, PngKind kind) {
  std::vector<uint8_t> row;
  for (uint32_t x = 0; x < image.width; ++x) {
    const uint8_t* p = image.Row(y) + 3 * x;
    const uint8_t grey = static_cast<uint8_t>((p[0] + 2 * p[1] + p[2]) / 4);
    switch (kind) {
      case PngKind::kRgb:
        row.insert(row.end(), p, p + 3);
        break;
      case PngKind::kGrey:
      case PngKind::kGreyKey:
        row.push_back(grey);
        break;
      case PngKind::kGrey1:
        if (x % 8 == 0) row.push_back(0);
        row.back() = static_cast<uint8_t>(row.back() | (grey >= 128) << (7 - x % 8));
        break;
      case PngKind::kGrey16:
      case PngKind::kGrey16Key:
        row.insert(row.end(), {grey, grey});
        break;
      case PngKind::kRgb16:
      case PngKind::kRgb16Key:
        row.insert(row.end(), {p[0], p[0], p[1], p[1], p[2], p[2]});
        break;
      case PngKind::kRgba16: {
        const uint8_t alpha = Alpha(x, image.width);
        row.insert(row.end(), {p[0], p[0], p[1], p[1], p[2], p[2], alpha, alpha});
        break;
      }
      case PngKind::kRgba:
        row.insert(row.end(), {p[0], p[1], p[2], Alpha(x, image.width)});
        break;
      case PngKind::kGreyAlpha:
        row.insert(row.end(), {grey, Alpha(x, image.width)});
        break;
      case PngKind::kPalette:
      case PngKind::kTransparentPalette:
        row.push_back(static_cast<uint8_t>(p[0] / 64 * 16 + p[1] / 64 * 4 + p[2] / 64));
        break;
    }
  }
  return row;
}

}  // namespace

Image MakePicture(uint32_t width, uint32_t height, uint32_t seed) {
  Image image;
  image.Resize(width, height);
  uint32_t noise = seed * 2654435761u + 1;
  for (uint32_t y = 0; y < height; ++y) {
    for (uint32_t x = 0; x < width; ++x) {
      noise = noise * 1664525u + 1013904223u;
      const bool inside = (x * 4 > width) && (x * 4 < 3 * width) && (y * 3 > height);
      uint8_t* p = image.Row(y) + 3 * x;
      p[0] = static_cast<uint8_t>((200 * x / width + 40 * seed + (noise >> 30)) & 0xFF);
      p[1] = static_cast<uint8_t>(inside ? 30 + seed % 100 : 220 * y / height);
      p[2] = static_cast<uint8_t>(inside ? 200 : 100 * (x + y) / (width + height) + (noise >> 29));
    }
  }
  return image;
}

std::string EncodeJpeg(const Image& image, const JpegOptions& options) {
  jpeg_compress_struct jpeg;
  jpeg_error_mgr errors;
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&jpeg, &bytes, &size);
  jpeg.image_width = image.width;
  jpeg.image_height = image.height;
  jpeg.input_components = options.grey ? 1 : options.cmyk ? 4 : 3;
  jpeg.in_color_space = options.grey ? JCS_GRAYSCALE : options.cmyk ? JCS_CMYK : JCS_RGB;
  jpeg_set_defaults(&jpeg);
  if (options.cmyk) jpeg_set_colorspace(&jpeg, options.ycck ? JCS_YCCK : JCS_CMYK);
  if (!options.adobe) jpeg.write_Adobe_marker = FALSE;
  jpeg_set_quality(&jpeg, options.quality, TRUE);
  if (options.progressive) jpeg_simple_progression(&jpeg);
  jpeg_start_compress(&jpeg, TRUE);
  if (options.orientation != 0) {
    const std::string exif = ExifSegment(options.orientation, options.big_endian);
    jpeg_write_marker(&jpeg, JPEG_APP0 + 1, reinterpret_cast<const JOCTET*>(exif.data()),
                      static_cast<unsigned>(exif.size()));
  }
  std::vector<uint8_t> row(4 * image.width);
  for (uint32_t y = 0; y < image.height; ++y) {
    for (uint32_t x = 0; x < image.width; ++x) {
      const uint8_t* p = image.Row(y) + 3 * x;
      if (options.grey) {
        row[x] = p[1];
      } else if (options.cmyk) {
        for (int c = 0; c < 4; ++c) {
          const uint8_t light = c < 3 ? p[c] : options.black;
          row[4 * x + c] = options.adobe ? light : static_cast<uint8_t>(255 - light);
        }
      } else {
        std::memcpy(&row[3 * x], p, 3);
      }
    }
    JSAMPROW rows = row.data();
    jpeg_write_scanlines(&jpeg, &rows, 1);
  }
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  std::string result(reinterpret_cast<char*>(bytes), size);
  free(bytes);
  return result;
}

std::string EncodePng(const Image& image, PngKind kind, bool interlaced, int orientation) {
  std::string result;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  if (setjmp(png_jmpbuf(png)) != 0) abort();
  png_set_write_fn(png, &result, AppendPng, nullptr);
  int color = PNG_COLOR_TYPE_RGB;
  int depth = 8;
  switch (kind) {
    case PngKind::kRgb:
      break;
    case PngKind::kGrey1:
      depth = 1;
      [[fallthrough]];
    case PngKind::kGrey:
    case PngKind::kGreyKey:
      color = PNG_COLOR_TYPE_GRAY;
      break;
    case PngKind::kGrey16:
    case PngKind::kGrey16Key:
      color = PNG_COLOR_TYPE_GRAY;
      depth = 16;
      break;
    case PngKind::kRgb16:
    case PngKind::kRgb16Key:
      depth = 16;
      break;
    case PngKind::kRgba16:
      depth = 16;
      [[fallthrough]];
    case PngKind::kRgba:
      color = PNG_COLOR_TYPE_RGBA;
      break;
    case PngKind::kGreyAlpha:
      color = PNG_COLOR_TYPE_GRAY_ALPHA;
      break;
    case PngKind::kPalette:
    case PngKind::kTransparentPalette:
      color = PNG_COLOR_TYPE_PALETTE;
      break;
  }
  png_set_IHDR(png, info, image.width, image.height, depth, color,
               interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  if (color == PNG_COLOR_TYPE_PALETTE) {
    png_color palette[64];
    png_byte alpha[64];
    for (int i = 0; i < 64; ++i) {
      palette[i] = {static_cast<png_byte>(i / 16 * 85), static_cast<png_byte>(i / 4 % 4 * 85),
                    static_cast<png_byte>(i % 4 * 85)};
      alpha[i] = static_cast<png_byte>(i * 4);
    }
    png_set_PLTE(png, info, palette, 64);
    if (kind == PngKind::kTransparentPalette) png_set_tRNS(png, info, alpha, 64, nullptr);
  }
  const uint8_t* const corner = image.Row(0);
  const uint16_t scale = depth == 16 ? 257 : 1;
  png_color_16 key = {};
  key.red = static_cast<uint16_t>(corner[0] * scale);
  key.green = static_cast<uint16_t>(corner[1] * scale);
  key.blue = static_cast<uint16_t>(corner[2] * scale);
  key.gray = static_cast<uint16_t>((corner[0] + 2 * corner[1] + corner[2]) / 4 * scale);
  if (kind == PngKind::kGreyKey || kind == PngKind::kGrey16Key || kind == PngKind::kRgb16Key) {
    png_set_tRNS(png, info, nullptr, 0, &key);
  }
  std::string exif = Tiff(orientation, true);
  if (orientation != 0) {
    png_set_eXIf_1(png, info, static_cast<png_uint_32>(exif.size()),
                   reinterpret_cast<png_bytep>(&exif[0]));
  }
  std::vector<std::vector<uint8_t>> rows;
  std::vector<png_bytep> pointers;
  for (uint32_t y = 0; y < image.height; ++y) rows.push_back(PngRow(image, y, kind));
  for (auto& row : rows) pointers.push_back(row.data());
  png_write_info(png, info);
  png_write_image(png, pointers.data());
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return result;
}

std::string EncodeWebp(const Image& image, float quality, bool alpha) {
  std::vector<uint8_t> rgba;
  for (uint32_t y = 0; y < image.height; ++y) {
    for (uint32_t x = 0; x < image.width; ++x) {
      const uint8_t* p = image.Row(y) + 3 * x;
      rgba.insert(rgba.end(), {p[0], p[1], p[2], alpha ? Alpha(x, image.width) : uint8_t{255}});
    }
  }
  const int width = static_cast<int>(image.width), height = static_cast<int>(image.height);
  uint8_t* bytes = nullptr;
  const size_t size = quality < 0
                          ? WebPEncodeLosslessRGBA(rgba.data(), width, height, 4 * width, &bytes)
                          : WebPEncodeRGBA(rgba.data(), width, height, 4 * width, quality, &bytes);
  std::string result(reinterpret_cast<char*>(bytes), size);
  WebPFree(bytes);
  return result;
}

std::string AddWebpOrientation(const std::string& webp, const Image& image, int orientation,
                               bool prefixed) {
  constexpr uint8_t kExif = 8;
  const std::string exif = prefixed ? ExifSegment(orientation, false) : Tiff(orientation, true);
  return ExtendedWebp(image.width, image.height, kExif, WebpPixels(webp) + Chunk("EXIF", exif));
}

std::string EncodeAnimatedWebp(uint32_t width, uint32_t height, const Image& first,
                               const Image& second, uint32_t x, uint32_t y, bool alpha) {
  constexpr uint8_t kAnimation = 2, kAlpha = 16;
  // A background colour that nobody should see, and a loop for ever.
  std::string chunks = Chunk("ANIM", LittleEndian(0xFF00FF00, 4) + LittleEndian(0, 2));
  for (const Image* image : {&first, &second}) {
    const std::string placed =
        LittleEndian(x / 2, 3) + LittleEndian(y / 2, 3) + LittleEndian(image->width - 1, 3) +
        LittleEndian(image->height - 1, 3) + LittleEndian(40, 3) + LittleEndian(0, 1);
    chunks += Chunk("ANMF", placed + WebpPixels(EncodeWebp(*image, -1, alpha)));
  }
  return ExtendedWebp(width, height, alpha ? kAnimation | kAlpha : kAnimation, chunks);
}

}  // namespace navit::testing
