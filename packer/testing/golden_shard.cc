#include "packer/testing/golden_shard.h"

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "packer/testing/encode.h"
#include "packer/testing/tar_writer.h"

namespace navit::testing {

std::string MakeGoldenShard() {
  TarWriter tar;
  for (uint32_t i = 0; i < 64; ++i) {
    const std::string key = absl::StrFormat("%05d", i);
    const uint32_t width = 5 + i * 37 % 150;
    const uint32_t height = 5 + i * 53 % 140;
    const Image picture = MakePicture(width, height, i);
    switch (i % 8) {
      case 0:
        tar.Add(key + ".jpg", EncodeJpeg(picture));
        break;
      case 1: {
        JpegOptions options;
        options.orientation = static_cast<int>(1 + i / 8);
        options.big_endian = i % 16 == 1;
        tar.Add(key + ".jpeg", EncodeJpeg(picture, options));
        break;
      }
      case 2: {
        JpegOptions options;
        options.progressive = i % 16 == 2;
        options.grey = i % 32 == 2;
        options.cmyk = i % 32 == 18;
        tar.Add(key + ".jpg", EncodeJpeg(picture, options));
        break;
      }
      case 3:
        tar.Add(key + ".png", EncodePng(picture, PngKind::kRgb, i % 16 == 3));
        break;
      case 4:
        tar.Add(key + ".png", EncodePng(picture, static_cast<PngKind>(1 + i / 8)));
        break;
      case 5:
        tar.Add(key + ".webp", EncodeWebp(picture, i % 16 == 5 ? 80.f : -1.f, i % 32 == 5));
        break;
      case 6:
        // A name that lies, a truncated file, no image at all, none of ours, by turns.
        if (i % 32 == 6) tar.Add(key + ".jpg", EncodePng(picture));
        if (i % 32 == 14) {
          const std::string whole = EncodeJpeg(picture);
          tar.Add(key + ".jpg", whole.substr(0, whole.size() - whole.size() / 3));
        }
        if (i % 32 == 22) tar.Add(key + ".jpg", "GIF89a is none of ours");
        break;
      case 7:
        tar.Add(key + ".jpg", EncodeJpeg(picture));
        break;
    }
    // One sample has no caption.
    if (i != 39)
      tar.Add(key + ".txt", absl::StrCat("picture ", i % 20, " of size ", width % 3, "\n"));
    if (i % 4 == 0) tar.Add(key + ".json", absl::StrCat("{\"alt\": \"number ", i, "\"}"));
    if (i % 5 == 0) tar.Add(key + ".cls", absl::StrCat(i % 10));
  }
  return tar.Finish();
}

}  // namespace navit::testing
