#include "packer/image_header.h"

#include <webp/decode.h>

#include <cstddef>

namespace navit {
namespace {

// Bounds-checked reads of a byte range. Past the end everything is 0 and ok() turns false.
class Bytes {
 public:
  explicit Bytes(absl::string_view bytes, bool little_endian = false)
      : bytes_(bytes), little_endian_(little_endian) {}
  uint32_t U8(size_t at) { return Read(at, 1); }
  uint32_t U16(size_t at) { return Read(at, 2); }
  uint32_t U32(size_t at) { return Read(at, 4); }
  bool ok() const { return ok_; }

 private:
  uint32_t Read(size_t at, size_t size) {
    if (at > bytes_.size() || bytes_.size() - at < size) {
      ok_ = false;
      return 0;
    }
    uint32_t value = 0;
    for (size_t i = 0; i < size; ++i) {
      const size_t k = little_endian_ ? at + size - 1 - i : at + i;
      value = value << 8 | static_cast<uint8_t>(bytes_[k]);
    }
    return value;
  }

  absl::string_view bytes_;
  bool little_endian_;
  bool ok_ = true;
};

// What stands before the TIFF structure in a segment of a JPEG.
constexpr absl::string_view kExifPrefix("Exif\0\0", 6);

// Up to `size` bytes at `at`, as many as there are.
absl::string_view Part(absl::string_view bytes, size_t at, size_t size) {
  return at < bytes.size() ? bytes.substr(at, size) : absl::string_view();
}

// Orientation (tag 0x0112) of the first directory of a TIFF structure; 1 when there is none.
uint32_t TiffOrientation(absl::string_view tiff) {
  const bool little = tiff.substr(0, 4) == absl::string_view("II*\0", 4);
  if (!little && tiff.substr(0, 4) != absl::string_view("MM\0*", 4)) return 1;
  Bytes bytes(tiff, little);
  const size_t directory = bytes.U32(4);
  const uint32_t entries = bytes.U16(directory);
  for (uint32_t i = 0; i < entries && bytes.ok(); ++i) {
    const size_t entry = directory + 2 + size_t{12} * i;
    if (bytes.U16(entry) != 0x0112) continue;
    const uint32_t value = bytes.U16(entry + 8);
    const bool is_short = bytes.U16(entry + 2) == 3 && bytes.U32(entry + 4) == 1;
    return bytes.ok() && is_short && value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}

bool IsFrameHeader(uint32_t marker) {
  return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
}

void ReadJpeg(absl::string_view file, ImageHeader& header) {
  Bytes bytes(file);
  size_t at = 2;
  while (bytes.ok()) {
    if (bytes.U8(at) != 0xFF) return;
    const uint32_t marker = bytes.U8(at + 1);
    if (marker == 0xFF) {  // fill byte
      ++at;
      continue;
    }
    if (marker == 0x01 || (marker >= 0xD0 && marker <= 0xD7)) {  // no length
      at += 2;
      continue;
    }
    if (marker == 0xD8 || marker == 0xD9 || marker == 0xDA) return;  // scan before any frame
    const uint32_t length = bytes.U16(at + 2);
    if (length < 2) return;
    if (IsFrameHeader(marker)) {
      const uint32_t height = bytes.U16(at + 5);
      const uint32_t width = bytes.U16(at + 7);
      if (!bytes.ok() || width == 0 || height == 0) return;
      header.width = width;
      header.height = height;
      return;
    }
    if (marker == 0xE1 && Part(file, at + 4, kExifPrefix.size()) == kExifPrefix) {
      header.orientation = TiffOrientation(Part(file, at + 10, length > 8 ? length - 8 : 0));
    }
    at += 2 + length;
    if (at > file.size()) return;
  }
}

void ReadPng(absl::string_view file, ImageHeader& header) {
  Bytes bytes(file);
  if (bytes.U32(8) != 13 || file.substr(12, 4) != "IHDR") return;
  const uint32_t width = bytes.U32(16);
  const uint32_t height = bytes.U32(20);
  if (!bytes.ok() || width == 0 || height == 0 || width >> 31 || height >> 31) return;
  header.width = width;
  header.height = height;
  for (size_t at = 8; bytes.ok();) {
    const uint32_t length = bytes.U32(at);
    const absl::string_view type = Part(file, at + 4, 4);
    if (type == "eXIf") {
      header.orientation = TiffOrientation(Part(file, at + 8, length));
      return;
    }
    if (type.empty() || type == "IEND") return;
    at += size_t{12} + length;
  }
}

void ReadWebp(absl::string_view file, ImageHeader& header) {
  WebPBitstreamFeatures features;
  const VP8StatusCode status =
      WebPGetFeatures(reinterpret_cast<const uint8_t*>(file.data()), file.size(), &features);
  if (status != VP8_STATUS_OK) return;
  header.width = static_cast<uint32_t>(features.width);
  header.height = static_cast<uint32_t>(features.height);
  constexpr uint32_t kHasExif = 8;
  Bytes bytes(file, /*little_endian=*/true);
  if (Part(file, 12, 4) != "VP8X" || (bytes.U8(20) & kHasExif) == 0) return;
  for (size_t at = 12; bytes.ok();) {
    const uint32_t length = bytes.U32(at + 4);
    if (Part(file, at, 4) == "EXIF") {
      absl::string_view tiff = Part(file, at + 8, length);
      // Some writers keep the prefix of JPEG's segment.
      if (Part(tiff, 0, kExifPrefix.size()) == kExifPrefix) tiff.remove_prefix(kExifPrefix.size());
      header.orientation = TiffOrientation(tiff);
      return;
    }
    at += size_t{8} + length + length % 2;
  }
}

}  // namespace

ImageHeader ReadImageHeader(absl::string_view bytes) {
  ImageHeader header;
  if (bytes.empty()) return header;
  if (bytes.substr(0, 3) == "\xFF\xD8\xFF") {
    header.format = v1::ShardIndex::JPEG;
    ReadJpeg(bytes, header);
  } else if (bytes.substr(0, 8) == "\x89PNG\r\n\x1A\n") {
    header.format = v1::ShardIndex::PNG;
    ReadPng(bytes, header);
  } else if (bytes.substr(0, 4) == "RIFF" && bytes.size() >= 12 && bytes.substr(8, 4) == "WEBP") {
    header.format = v1::ShardIndex::WEBP;
    ReadWebp(bytes, header);
  } else {
    header.format = v1::ShardIndex::IMAGE_FORMAT_OTHER;
  }
  return header;
}

}  // namespace navit
