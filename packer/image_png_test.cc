#include <algorithm>
#include <cstdint>

#include "gtest/gtest.h"
#include "packer/image.h"
#include "packer/testing/encode.h"
#include "packer/testing/pictures.h"

namespace navit {
namespace {

using testing::Decode;
using testing::EncodePng;
using testing::Faded;
using testing::Grey;
using testing::MakePicture;
using testing::Map;
using testing::MeanDifference;
using testing::PngKind;
using testing::Quantised;

TEST(DecodePng, EveryKind) {
  const Image picture = MakePicture(61, 37, 5);
  Image image;
  for (const bool interlaced : {false, true}) {
    for (const PngKind kind : {PngKind::kRgb, PngKind::kRgb16}) {
      ASSERT_EQ(Decode(EncodePng(picture, kind, interlaced), &image), v1::HOLE_REASON_NONE);
      EXPECT_EQ(MeanDifference(image, picture), 0);
    }
    for (const PngKind kind : {PngKind::kGrey, PngKind::kGrey16}) {
      ASSERT_EQ(Decode(EncodePng(picture, kind, interlaced), &image), v1::HOLE_REASON_NONE);
      EXPECT_EQ(MeanDifference(image, Grey(picture)), 0);
    }
    ASSERT_EQ(Decode(EncodePng(picture, PngKind::kRgba, interlaced), &image), v1::HOLE_REASON_NONE);
    EXPECT_LT(MeanDifference(image, Faded(picture)), 0.01);
    ASSERT_EQ(Decode(EncodePng(picture, PngKind::kGreyAlpha, interlaced), &image),
              v1::HOLE_REASON_NONE);
    EXPECT_LT(MeanDifference(image, Faded(Grey(picture))), 0.01);
    ASSERT_EQ(Decode(EncodePng(picture, PngKind::kPalette, interlaced), &image),
              v1::HOLE_REASON_NONE);
    EXPECT_EQ(MeanDifference(image, Quantised(picture)), 0);
    ASSERT_EQ(Decode(EncodePng(picture, PngKind::kGrey1, interlaced), &image),
              v1::HOLE_REASON_NONE);
    EXPECT_EQ(MeanDifference(image, Map(Grey(picture),
                                        [](const uint8_t* p) -> Rgb {
                                          const uint8_t level = p[0] >= 128 ? 255 : 0;
                                          return {level, level, level};
                                        })),
              0);
  }
}

// Whatever says that a pixel is transparent, the background is seen there.
TEST(DecodePng, TransparencyShowsTheBackground) {
  const Image picture = MakePicture(61, 37, 5);
  Image image;
  for (const Rgb& background : {kWhite, Rgb{0, 0, 0}, Rgb{10, 200, 90}}) {
    for (const bool interlaced : {false, true}) {
      for (const PngKind kind : {PngKind::kRgba, PngKind::kRgba16}) {
        ASSERT_EQ(Decode(EncodePng(picture, kind, interlaced), &image, background),
                  v1::HOLE_REASON_NONE);
        EXPECT_LT(MeanDifference(image, Faded(picture, background)), 0.01);
      }
      ASSERT_EQ(
          Decode(EncodePng(picture, PngKind::kTransparentPalette, interlaced), &image, background),
          v1::HOLE_REASON_NONE);
      const Image palette = Map(picture, [&](const uint8_t* p) {
        const double alpha = (p[0] / 64 * 16 + p[1] / 64 * 4 + p[2] / 64) * 4 / 255.0;
        Rgb seen;
        for (int c = 0; c < 3; ++c) {
          seen[c] = static_cast<uint8_t>(p[c] / 64 * 85 * alpha + background[c] * (1 - alpha) + .5);
        }
        return seen;
      });
      EXPECT_LT(MeanDifference(image, palette), 0.01);
      for (const PngKind kind : {PngKind::kGreyKey, PngKind::kGrey16Key, PngKind::kRgb16Key}) {
        const Image plain = kind == PngKind::kRgb16Key ? picture : Grey(picture);
        int holes = 0;
        const Image keyed = Map(plain, [&](const uint8_t* p) {
          const bool key = std::equal(p, p + 3, plain.Row(0));
          holes += key ? 1 : 0;
          return key ? background : Rgb{p[0], p[1], p[2]};
        });
        ASSERT_GT(holes, 0);
        ASSERT_EQ(Decode(EncodePng(picture, kind, interlaced), &image, background),
                  v1::HOLE_REASON_NONE);
        EXPECT_EQ(MeanDifference(image, keyed), 0) << static_cast<int>(kind);
      }
    }
  }
}

}  // namespace
}  // namespace navit
