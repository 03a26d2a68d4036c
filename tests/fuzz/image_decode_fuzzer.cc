// From a file's bytes to the resized image, as a packer does it: header, limits, decoder, resize.
// One program per format (NAVIT_FUZZ_FORMAT). Inputs of more pixels than kMostPixels are passed
// over, except that they must be refused without much memory or time when they are over the limit.
#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "packer/image.h"
#include "packer/image_header.h"
#include "packer/limits.h"
#include "packer/resize.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace {

using navit::v1::ShardIndex;

constexpr ShardIndex::ImageFormat kFormat = ShardIndex::NAVIT_FUZZ_FORMAT;

// An input of more pixels within the limit is decoded once in 64, so that the others get their
// time.
constexpr uint64_t kMostPixels = uint64_t{1} << 20;

uint32_t BigEndian(const uint8_t* bytes) {
  return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 | bytes[3];
}

// Chunks of a PNG whose checksums are right, so that mutations reach the decoder.
[[maybe_unused]] void MendPng(uint8_t* data, size_t size) {
  for (size_t at = 8; at + 12 <= size;) {
    const uint64_t bytes = BigEndian(data + at);
    if (bytes > size - at - 12) return;
    const uint32_t sum =
        static_cast<uint32_t>(crc32(0, data + at + 4, static_cast<uInt>(bytes + 4)));
    for (int i = 0; i < 4; ++i) {
      data[at + 8 + bytes + i] = static_cast<uint8_t>(sum >> (24 - 8 * i));
    }
    at += 12 + bytes;
  }
}

}  // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned seed) {
  size = LLVMFuzzerMutate(data, size, max_size);
  if (kFormat == ShardIndex::PNG && seed % 8 != 0) MendPng(data, size);
  return size;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view file(reinterpret_cast<const char*>(data), size);
  const navit::ImageHeader header = navit::ReadImageHeader(file);
  if (header.format != kFormat || header.width == 0) return 0;
  uint32_t draw = static_cast<uint32_t>(size);
  for (size_t i = 0; i < size; ++i) draw = (draw ^ data[i]) * 16777619u;
  const uint64_t pixels = uint64_t{header.width} * header.height;
  if (pixels > kMostPixels && pixels <= navit::kMaxImagePixels && draw % 64 != 0) return 0;

  const uint32_t target_width = 1 + (draw >> 8) % std::min<uint32_t>(header.width, 96);
  const uint32_t target_height = 1 + (draw >> 16) % std::min<uint32_t>(header.height, 96);
  navit::DecodedImage image;
  const navit::v1::HoleReason reason = navit::DecodeImage(
      file, header.format, header.width, header.height, target_width, target_height, &image);
  if (pixels > navit::kMaxImagePixels && reason != navit::v1::HOLE_REASON_TOO_LARGE) std::abort();
  if (reason != navit::v1::HOLE_REASON_NONE) return 0;
  // Planes may be subsampled, but in each direction one of them is not.
  uint32_t width = 0, height = 0;
  for (size_t p = 0; p < image.plane_count(); ++p) {
    width = std::max(width, image.planes[p].samples.width);
    height = std::max(height, image.planes[p].samples.height);
  }
  if (width < target_width || height < target_height || width > header.width ||
      height > header.height) {
    std::abort();
  }
  navit::ResizeScratch scratch;
  navit::Image resized;
  const auto interpolation = static_cast<navit::Interpolation>((draw >> 24) % 3);
  navit::ResizeImage(image, target_width, target_height, interpolation, &scratch, &resized);
  navit::Image oriented;
  navit::ApplyOrientation(resized, header.orientation, &oriented);
  if (oriented.width * oriented.height != target_width * target_height) std::abort();
  return 0;
}
