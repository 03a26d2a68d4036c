#include <algorithm>
#include <cstdint>
#include <string>

#include "gtest/gtest.h"
#include "packer/image.h"
#include "packer/testing/encode.h"
#include "packer/testing/pictures.h"

namespace navit {
namespace {

using testing::Decode;
using testing::EncodeAnimatedWebp;
using testing::EncodeWebp;
using testing::Faded;
using testing::MakePicture;
using testing::MeanDifference;

TEST(DecodeWebp, LossyLosslessAndAlpha) {
  const Image picture = MakePicture(61, 37, 5);
  Image image;
  ASSERT_EQ(Decode(EncodeWebp(picture, -1), &image), v1::HOLE_REASON_NONE);
  EXPECT_EQ(MeanDifference(image, picture), 0);
  ASSERT_EQ(Decode(EncodeWebp(picture, 95), &image), v1::HOLE_REASON_NONE);
  EXPECT_LT(MeanDifference(image, picture), 10);
  ASSERT_EQ(Decode(EncodeWebp(picture, -1, true), &image), v1::HOLE_REASON_NONE);
  // Colours under full transparency are the encoder's to choose; over white they do not show.
  EXPECT_LT(MeanDifference(image, Faded(picture)), 0.1);
}

TEST(DecodeWebp, FirstFrameOfAnAnimationOnItsCanvas) {
  const Image first = MakePicture(20, 12, 5), second = MakePicture(16, 10, 6);
  const Rgb background = {10, 200, 90};
  for (const bool alpha : {false, true}) {
    Image canvas;
    canvas.Resize(40, 30);
    const Image shown = alpha ? Faded(first, background) : first;
    for (uint32_t y = 0; y < 30; ++y) {
      for (uint32_t x = 0; x < 40; ++x) {
        const bool inside = x >= 6 && x < 26 && y >= 4 && y < 16;
        const uint8_t* from = inside ? shown.Row(y - 4) + 3 * (x - 6) : background.data();
        std::copy(from, from + 3, canvas.Row(y) + 3 * x);
      }
    }
    const std::string bytes = EncodeAnimatedWebp(40, 30, first, second, 6, 4, alpha);
    Image image;
    ASSERT_EQ(Decode(bytes, &image, background), v1::HOLE_REASON_NONE);
    EXPECT_LE(MeanDifference(image, canvas), alpha ? 0.1 : 0);
    // Frames that are cut off, or lie beside the canvas.
    EXPECT_EQ(Decode(bytes.substr(0, 100), &image), v1::HOLE_REASON_DECODE_ERROR);
    EXPECT_EQ(Decode(EncodeAnimatedWebp(20, 30, first, second, 6, 4, alpha), &image),
              v1::HOLE_REASON_DECODE_ERROR);
  }
}

}  // namespace
}  // namespace navit
