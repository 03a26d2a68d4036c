#include "packer/image_header.h"

#include <cstdint>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "packer/testing/encode.h"
#include "packer/testing/pictures.h"

namespace navit {
namespace {

using testing::AddWebpOrientation;
using testing::Decode;
using testing::EncodeJpeg;
using testing::EncodePng;
using testing::EncodeWebp;
using testing::JpegOptions;
using testing::MakePicture;
using testing::PngKind;

TEST(ReadImageHeader, OrientationOfEveryFormat) {
  const Image picture = MakePicture(40, 24, 5);
  for (int orientation = 1; orientation <= 8; ++orientation) {
    JpegOptions options;
    options.orientation = orientation;
    std::vector<std::string> files = {EncodeJpeg(picture, options),
                                      EncodePng(picture, PngKind::kPalette, true, orientation)};
    for (const std::string& webp :
         {EncodeWebp(picture, -1), EncodeWebp(picture, 80), EncodeWebp(picture, 80, true)}) {
      for (const bool prefixed : {false, true}) {
        files.push_back(AddWebpOrientation(webp, picture, orientation, prefixed));
      }
    }
    for (const std::string& file : files) {
      const ImageHeader header = ReadImageHeader(file);
      EXPECT_EQ(header.orientation, static_cast<uint32_t>(orientation));
      EXPECT_EQ(header.width, 40u);
      EXPECT_EQ(header.height, 24u);
      Image image;
      EXPECT_EQ(Decode(file, &image), v1::HOLE_REASON_NONE);
    }
  }
}

TEST(ReadImageHeader, NeverReadsPastTheEnd) {
  const Image picture = MakePicture(40, 24, 5);
  JpegOptions options;
  options.orientation = 6;
  for (const std::string& bytes :
       {EncodeJpeg(picture, options), EncodePng(picture, PngKind::kRgb, false, 6),
        EncodeWebp(picture, 80), AddWebpOrientation(EncodeWebp(picture, 80), picture, 6, true)}) {
    const ImageHeader whole = ReadImageHeader(bytes);
    EXPECT_EQ(whole.width, 40u);
    EXPECT_EQ(whole.height, 24u);
    for (size_t size = 0; size < bytes.size(); ++size) {
      // A copy of exactly this size, so that ASan sees any read beyond it.
      const std::string part(bytes.data(), size);
      const ImageHeader header = ReadImageHeader(part);
      EXPECT_TRUE(header.width == 0 || header.width == 40);
    }
  }
}

}  // namespace
}  // namespace navit
