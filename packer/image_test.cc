#include "packer/image.h"

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "packer/image_header.h"
#include "packer/testing/encode.h"
#include "packer/testing/pictures.h"

namespace navit {
namespace {

using testing::Decode;
using testing::EncodeJpeg;
using testing::EncodePng;
using testing::EncodeWebp;
using testing::JpegOptions;
using testing::MakePicture;
using testing::MeanDifference;
using testing::PngKind;

TEST(DecodeImage, OnePixelAndExtremeAspect) {
  Image image;
  for (const auto& [width, height] : {std::pair<uint32_t, uint32_t>{1, 1}, {3000, 1}, {1, 3000}}) {
    const Image picture = MakePicture(width, height, 1);
    for (const std::string& bytes :
         {EncodeJpeg(picture), EncodePng(picture), EncodeWebp(picture, -1)}) {
      ASSERT_EQ(Decode(bytes, &image), v1::HOLE_REASON_NONE);
      EXPECT_EQ(image.width, width);
      EXPECT_EQ(image.height, height);
    }
  }
}

TEST(DecodeImage, BadFilesAreHoles) {
  const Image picture = MakePicture(61, 37, 5);
  DecodedImage image;
  JpegOptions progressive;
  progressive.progressive = true;
  for (const std::string& bytes :
       {EncodeJpeg(picture), EncodeJpeg(picture, progressive), EncodePng(picture),
        EncodeWebp(picture, -1), EncodeWebp(picture, 80)}) {
    const ImageHeader header = ReadImageHeader(bytes);
    // Truncated anywhere behind its header.
    for (size_t size = bytes.size() / 2; size + 20 < bytes.size(); size += 31) {
      EXPECT_EQ(DecodeImage(bytes.substr(0, size), header.format, 61, 37, 61, 37, &image),
                v1::HOLE_REASON_DECODE_ERROR)
          << size;
    }
    // Not of the size that the index states.
    EXPECT_EQ(DecodeImage(bytes, header.format, 62, 37, 61, 37, &image),
              v1::HOLE_REASON_DECODE_ERROR);
    // Another format's bytes, and none.
    EXPECT_EQ(DecodeImage("", header.format, 61, 37, 61, 37, &image), v1::HOLE_REASON_DECODE_ERROR);
    EXPECT_EQ(DecodeImage("junk that is no image", header.format, 61, 37, 61, 37, &image),
              v1::HOLE_REASON_DECODE_ERROR);
  }
  EXPECT_EQ(DecodeImage("GIF89a", v1::ShardIndex::IMAGE_FORMAT_OTHER, 6, 3, 6, 3, &image),
            v1::HOLE_REASON_UNSUPPORTED_FORMAT);
}

TEST(DecodeImage, BombsAreRefusedByTheirHeader) {
  // A PNG of 61 x 37 whose header says 60,000 x 60,000.
  std::string bytes = EncodePng(MakePicture(61, 37, 5));
  bytes.replace(16, 8, std::string("\0\0\xEA\x60\0\0\xEA\x60", 8));
  const ImageHeader header = ReadImageHeader(bytes);
  EXPECT_EQ(header.width, 60000u);
  DecodedImage image;
  EXPECT_EQ(DecodeImage(bytes, header.format, 60000, 60000, 16, 16, &image),
            v1::HOLE_REASON_TOO_LARGE);
  EXPECT_TRUE(image.planes[0].samples.bytes.empty());
}

// Any damage gives a picture or a hole, never a crash (run with --config=asan too).
TEST(DecodeImage, FlippedBitsNeverCrash) {
  std::mt19937 random(11);
  const Image picture = MakePicture(40, 24, 5);
  JpegOptions progressive;
  progressive.progressive = true;
  int holes = 0;
  for (const std::string& bytes :
       {EncodeJpeg(picture), EncodeJpeg(picture, progressive), EncodePng(picture),
        EncodePng(picture, PngKind::kTransparentPalette, true), EncodeWebp(picture, -1),
        EncodeWebp(picture, 80, true)}) {
    for (int round = 0; round < 200; ++round) {
      std::string bad = bytes;
      for (int flips = 0; flips < 3; ++flips) {
        bad[random() % bad.size()] ^= static_cast<char>(1 << random() % 8);
      }
      Image image;
      if (Decode(bad, &image) != v1::HOLE_REASON_NONE) ++holes;
    }
  }
  EXPECT_GT(holes, 100);
}

// 2 x 3 pixels, numbered by row.
Image Numbered() {
  Image image;
  image.Resize(2, 3);
  for (uint32_t y = 0; y < 3; ++y) {
    for (uint32_t x = 0; x < 2; ++x) image.Row(y)[3 * x] = static_cast<uint8_t>(2 * y + x);
  }
  return image;
}

TEST(FlippedOrientation, MirrorsWhatIsSeen) {
  for (uint32_t orientation = 1; orientation <= 8; ++orientation) {
    Image seen, mirrored, flipped;
    ApplyOrientation(Numbered(), orientation, &seen);
    ApplyOrientation(seen, 2, &mirrored);
    ApplyOrientation(Numbered(), FlippedOrientation(orientation), &flipped);
    EXPECT_EQ(MeanDifference(mirrored, flipped), 0) << orientation;
  }
}

// The stored part, oriented, is the part of the oriented picture.
TEST(StoredPart, OfEveryOrientation) {
  const Image picture = MakePicture(23, 14, 3);
  for (uint32_t orientation = 1; orientation <= 8; ++orientation) {
    Image seen;
    ApplyOrientation(picture, orientation, &seen);
    const Part part = {3, 5, 8, 4};
    Image expected;
    expected.Resize(part.width, part.height);
    for (uint32_t y = 0; y < part.height; ++y) {
      std::copy_n(seen.Row(part.top + y) + 3 * part.left, 3 * part.width, expected.Row(y));
    }
    DecodedImage stored;
    *stored.MakeRgb(23, 14) = picture;
    const Part there = StoredPart(part, orientation, 23, 14);
    CropTo(there, 23, 14, &stored);
    Image oriented;
    ApplyOrientation(stored.planes[0].samples, orientation, &oriented);
    EXPECT_EQ(MeanDifference(oriented, expected), 0) << orientation;
  }
}

// Planes of other sizes than the picture keep the place of the part within a sample.
TEST(CropTo, PlanesOfOtherSizes) {
  DecodedImage image;
  const std::string bytes = EncodeJpeg(MakePicture(203, 101, 5));
  ASSERT_EQ(DecodeImage(bytes, v1::ShardIndex::JPEG, 203, 101, 100, 50, &image),
            v1::HOLE_REASON_NONE);
  ASSERT_EQ(image.planes[0].samples.width, 102u);
  CropTo({31, 7, 70, 50}, 203, 101, &image);
  const DecodedImage::Plane& luma = image.planes[0];
  EXPECT_EQ(luma.left, 0.5);  // 15.5 at half the size
  EXPECT_EQ(luma.top, 0.5);
  EXPECT_EQ(luma.extent_width, 35);
  EXPECT_EQ(luma.extent_height, 25);
  EXPECT_EQ(luma.samples.width, 36u);
  EXPECT_EQ(luma.samples.height, 26u);
}

TEST(ApplyOrientation, AllEight) {
  const Image source = Numbered();
  const struct {
    uint32_t orientation, width, height;
    std::vector<int> pixels;
  } cases[] = {{1, 2, 3, {0, 1, 2, 3, 4, 5}}, {2, 2, 3, {1, 0, 3, 2, 5, 4}},
               {3, 2, 3, {5, 4, 3, 2, 1, 0}}, {4, 2, 3, {4, 5, 2, 3, 0, 1}},
               {5, 3, 2, {0, 2, 4, 1, 3, 5}}, {6, 3, 2, {4, 2, 0, 5, 3, 1}},
               {7, 3, 2, {5, 3, 1, 4, 2, 0}}, {8, 3, 2, {1, 3, 5, 0, 2, 4}}};
  for (const auto& c : cases) {
    Image result;
    ApplyOrientation(source, c.orientation, &result);
    ASSERT_EQ(result.width, c.width);
    ASSERT_EQ(result.height, c.height);
    for (uint32_t i = 0; i < 6; ++i) {
      EXPECT_EQ(result.Row(i / c.width)[3 * (i % c.width)], c.pixels[i])
          << c.orientation << " " << i;
    }
  }
}

}  // namespace
}  // namespace navit
