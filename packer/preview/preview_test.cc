#include <algorithm>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "packer/image.h"
#include "packer/preview/canvas.h"
#include "packer/preview/sequence_picture.h"

namespace navit {
namespace {

using ::testing::ElementsAre;

constexpr Rgb kRed = {200, 20, 10};
constexpr Rgb kWhite = {255, 255, 255};

uint32_t U32(const std::string& png, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(png[at + i]);
  return value;
}

// A PNG as a picture.
Image Decode(const std::string& png) {
  DecodedImage decoded;
  EXPECT_EQ(DecodeImage(png, v1::ShardIndex::PNG, U32(png, 16), U32(png, 20), 1, 1, &decoded),
            v1::HOLE_REASON_NONE);
  return decoded.planes[0].samples;
}

// Pixels of a colour.
int Count(const Image& image, Rgb colour) {
  int count = 0;
  for (uint32_t y = 0; y < image.height; ++y) {
    for (uint32_t x = 0; x < image.width; ++x) {
      count += std::equal(colour.begin(), colour.end(), image.Row(y) + 3 * x);
    }
  }
  return count;
}

// An image of rows x columns patches of one colour, of which the first `kept` stayed.
void AddImage(uint32_t rows, uint32_t columns, uint32_t kept, Rgb colour, v1::Pack* pack) {
  pack->set_patch_size(8);
  pack->add_samples(pack->samples_size());
  pack->add_image_tokens(kept);
  pack->add_grid_rows(rows);
  pack->add_grid_columns(columns);
  for (uint32_t t = 0; t < kept; ++t) {
    for (int i = 0; i < 8 * 8; ++i) {
      for (const uint8_t channel : colour) pack->mutable_patches()->push_back(channel);
    }
    for (const uint32_t place : {t / columns, t % columns}) {
      pack->mutable_positions()->push_back(static_cast<char>(place));
      pack->mutable_positions()->push_back(0);
    }
  }
}

SequenceCaption Caption(uint32_t sequence_length) { return {"job", {"facts"}, sequence_length, 0}; }

TEST(Canvas, WhatIsDrawnIsInThePng) {
  Canvas canvas(40, 30);
  canvas.Fill({10, 5, 4, 3}, kRed);
  canvas.Outline({20, 10, 10, 10}, {1, 2, 3}, 2);
  const auto png = canvas.EncodePng();
  ASSERT_TRUE(png.ok()) << png.status();
  const Image image = Decode(*png);
  EXPECT_EQ(image.width, 40u);
  EXPECT_EQ(image.height, 30u);
  EXPECT_EQ(Count(image, kRed), 12);
  EXPECT_EQ(Count(image, {1, 2, 3}), 10 * 10 - 6 * 6);
  EXPECT_EQ(canvas.At(10, 5), kRed);
  EXPECT_EQ(canvas.At(14, 5), kWhite);
}

TEST(Canvas, DrawsOnlyWithin) {
  Canvas canvas(8, 8);
  canvas.Fill({-5, -5, 6, 6}, kRed);
  canvas.Text(-4, -3, "W", kRed);
  canvas.Trapezoid(-4, -9, 2, 30, 5, 40, kRed, 0.5);
  canvas.Hatch({4, 4, 100, 100}, kRed);
  EXPECT_EQ(canvas.At(0, 0), kRed);
}

TEST(Canvas, LettersDiffer) {
  std::vector<std::string> pictures;
  for (const char c : std::string("AB08%/")) {
    for (const bool bold : {false, true}) {
      Canvas canvas(Canvas::TextWidth("x"), Canvas::TextHeight());
      canvas.Text(0, 0, std::string(1, c), {0, 0, 0}, bold);
      pictures.push_back(*canvas.EncodePng());
    }
  }
  std::sort(pictures.begin(), pictures.end());
  EXPECT_EQ(std::unique(pictures.begin(), pictures.end()), pictures.end());
}

TEST(Canvas, TrapezoidsGoFromTheirTopToTheirBottomEdge) {
  Canvas canvas(100, 10);
  canvas.Trapezoid(0, 0, 10, 10, 60, 100, kRed, 1);
  EXPECT_EQ(canvas.At(5, 0), kRed);
  EXPECT_EQ(canvas.At(50, 0), kWhite);
  EXPECT_EQ(canvas.At(80, 9), kRed);
  EXPECT_EQ(canvas.At(5, 9), kWhite);
}

TEST(PlaceInOrder, KeepsOrderGapsAndBordersAndIsNearWhereItCan) {
  using preview_internal::PlaceInOrder;
  // Room enough: each at its centre.
  EXPECT_THAT(PlaceInOrder({10, 20}, {50, 100}, 5, 0, 200), ElementsAre(45, 90));
  // Two that want one place share the way.
  EXPECT_THAT(PlaceInOrder({10, 10}, {50, 50}, 0, 0, 200), ElementsAre(40, 50));
  EXPECT_THAT(PlaceInOrder({10, 10}, {0, 0}, 4, 0, 200), ElementsAre(0, 14));
  EXPECT_THAT(PlaceInOrder({10, 10}, {200, 200}, 4, 0, 200), ElementsAre(176, 190));
  EXPECT_THAT(PlaceInOrder({}, {}, 4, 0, 200), ElementsAre());
}

// Padding is the hatched part of the bar: none when full, more when emptier.
TEST(DrawSequences, PaddingIsHatched) {
  const Rgb padding = {158, 163, 173};
  std::vector<int> hatched;
  for (const uint32_t tokens : {16u, 12u, 4u}) {
    v1::Pack pack;
    AddImage(1, tokens, tokens, kRed, &pack);
    const auto png = DrawSequences(Caption(16), {pack});
    ASSERT_TRUE(png.ok()) << png.status();
    hatched.push_back(Count(Decode(*png), padding));
  }
  EXPECT_NEAR(hatched[2] - hatched[0], 3 * (hatched[1] - hatched[0]), 200);
  EXPECT_GT(hatched[1], hatched[0] + 1000);
}

// Prefix tokens of every image take room on the bar, and are shaded.
TEST(DrawSequences, PrefixTokensStandBeforeTheImagesPatches) {
  const Rgb padding = {158, 163, 173};
  v1::Pack pack;
  AddImage(1, 3, 3, kRed, &pack);
  AddImage(0, 0, 0, kRed, &pack);  // a hole has none
  AddImage(1, 3, 3, kRed, &pack);
  SequenceCaption caption = Caption(12);
  const int all_padded = Count(Decode(*DrawSequences(caption, {pack})), padding);
  caption.prefix_tokens = 3;
  const Image full = Decode(*DrawSequences(caption, {pack}));
  v1::Pack filled;
  AddImage(1, 12, 12, kRed, &filled);
  // The legend's padding lies elsewhere, with other pixels of its stripes.
  EXPECT_NEAR(Count(full, padding), Count(Decode(*DrawSequences(Caption(12), {filled})), padding),
              16);
  EXPECT_GT(all_padded, Count(full, padding) + 1000);
  // 0.6 of ink over the first accent, on a quarter of a bar of 1520 x 22 pixels and in the legend.
  const Rgb shaded = {49, 67, 93};
  EXPECT_NEAR(Count(full, shaded), 380 * 22 + 12 * 9, 2 * 22);
}

TEST(DrawSequences, KeptPatchesShowThePictureAndDroppedOnesAreBlank) {
  const Rgb blank = {229, 231, 236};
  v1::Pack whole, half;
  AddImage(4, 4, 16, kRed, &whole);
  AddImage(4, 4, 8, kRed, &half);
  const Image all = Decode(*DrawSequences(Caption(16), {whole}));
  const Image some = Decode(*DrawSequences(Caption(16), {half}));
  EXPECT_NEAR(Count(some, kRed), Count(all, kRed) / 2, 4);
  EXPECT_GT(Count(all, kRed), 16 * 6 * 6);
  // The legend has two blank patches as well.
  EXPECT_NEAR(Count(some, blank) - Count(all, blank), Count(all, kRed) / 2, 4);
}

TEST(DrawSequences, EverySequenceHasARow) {
  v1::Pack pack;
  AddImage(2, 3, 6, kRed, &pack);
  const Image one = Decode(*DrawSequences(Caption(8), {pack}));
  const Image three = Decode(*DrawSequences(Caption(8), {pack, pack, pack}));
  EXPECT_EQ(one.width, three.width);
  EXPECT_GT(three.height, one.height + 100);
  EXPECT_EQ(Count(three, kRed), 3 * Count(one, kRed));
}

TEST(DrawSequences, TakesAnyNumberOfImagesOfAnyShape) {
  v1::Pack many;
  for (int i = 0; i < 2000; ++i) AddImage(1, 1, 1, kRed, &many);
  AddImage(1, 200, 200, kRed, &many);
  AddImage(150, 1, 3, kRed, &many);
  v1::Pack holes;
  AddImage(0, 0, 0, kRed, &holes);
  const auto png = DrawSequences(Caption(2203), {many, holes});
  ASSERT_TRUE(png.ok()) << png.status();
  EXPECT_LT(Decode(*png).height, 1500u);
}

TEST(DrawSequences, RefusesWhatIsNoPack) {
  v1::Pack pack;
  AddImage(2, 2, 3, kRed, &pack);
  v1::Pack cut = pack;
  cut.mutable_patches()->resize(100);
  v1::Pack outside = pack;
  (*outside.mutable_positions())[0] = 9;
  v1::Pack columns = pack;
  columns.add_samples(7);
  v1::Pack small = pack;
  small.set_grid_rows(0, 1);
  for (const v1::Pack& bad : {cut, outside, columns, small}) {
    EXPECT_TRUE(absl::IsInvalidArgument(DrawSequences(Caption(8), {bad}).status()));
  }
  EXPECT_TRUE(absl::IsInvalidArgument(DrawSequences(Caption(8), {}).status()));
}

}  // namespace
}  // namespace navit
