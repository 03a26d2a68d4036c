// What a pack shows of an image: whole or its drawn part, turned, mirrored, resized as the job
// says.
#include <algorithm>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "packer/augmentation.h"
#include "packer/patchify.h"
#include "packer/philox.h"
#include "packer/resize.h"
#include "packer/testing/encode.h"
#include "packer/testing/pack_fixture.h"
#include "packer/testing/tar_writer.h"

namespace navit {
namespace {

using testing::CheckPack;
using testing::DataPlane;
using testing::EncodeJpeg;
using testing::EncodePng;
using testing::MakePicture;
using testing::MakeSpec;
using testing::TarWriter;

class PackPixelsTest : public testing::PackTest {};

// A picture whose red rises from left to right and whose green from top to bottom.
Image Ramps(uint32_t width, uint32_t height) {
  Image image;
  image.Resize(width, height);
  for (uint32_t y = 0; y < height; ++y) {
    for (uint32_t x = 0; x < width; ++x) {
      uint8_t* p = image.Row(y) + 3 * x;
      p[0] = static_cast<uint8_t>(20 + 200 * x / (width - 1));
      p[1] = static_cast<uint8_t>(20 + 200 * y / (height - 1));
      p[2] = 100;
    }
  }
  return image;
}

// `shown` as every format stores it with orientation 1 to 8.
std::vector<std::string> Oriented(const Image& shown) {
  std::vector<std::string> files;
  for (int orientation = 1; orientation <= 8; ++orientation) {
    // 6 and 8 undo each other, the others themselves.
    const uint32_t inverse = orientation == 6 ? 8 : orientation == 8 ? 6 : orientation;
    Image stored;
    ApplyOrientation(shown, inverse, &stored);
    testing::JpegOptions options;
    options.orientation = orientation;
    files.push_back(EncodeJpeg(stored, options));
    files.push_back(EncodePng(stored, testing::PngKind::kRgb, false, orientation));
    files.push_back(testing::AddWebpOrientation(testing::EncodeWebp(stored, -1), stored,
                                                orientation, orientation % 2 == 0));
  }
  return files;
}

// What the colours of a pack's patches say of the place and the direction in which an image was
// seen.
struct Seen {
  double left = 0, top = 0, width = 0, height = 0;
};

// The place of Ramps's part that `pack` shows as its example, of which all patches are there.
Seen PlaceOf(const v1::Pack& pack, int example, uint32_t patch, uint32_t width, uint32_t height) {
  size_t token = 0;
  for (int e = 0; e < example; ++e) token += pack.image_tokens(e);
  const size_t patch_bytes = size_t{3} * patch * patch;
  // Means of the first and of the last column, and of the first and of the last row, of pixels.
  const uint32_t rows = pack.grid_rows(example), columns = pack.grid_columns(example);
  const auto pixel = [&](uint32_t y, uint32_t x, int channel) {
    const size_t at = (token + y / patch * columns + x / patch) * patch_bytes +
                      (y % patch * patch + x % patch) * 3 + channel;
    return static_cast<double>(static_cast<uint8_t>(pack.patches()[at]));
  };
  const uint32_t h = rows * patch, w = columns * patch;
  // A ramp is a line: its slope over the inner half says where it begins and ends.
  const auto line = [](double quarter, double three_quarters, uint32_t length, uint32_t side,
                       double* begin, double* extent) {
    const double slope = (three_quarters - quarter) / (length / 2) * length;
    *extent = slope / 200 * (side - 1);
    *begin = (quarter - slope * (length / 4 + 0.5) / length - 20) / 200 * (side - 1) + 0.5;
  };
  Seen seen;
  double quarter = 0, rest = 0;
  for (uint32_t y = 0; y < h; ++y) {
    quarter += pixel(y, w / 4, 0) / h;
    rest += pixel(y, w / 4 + w / 2, 0) / h;
  }
  line(quarter, rest, w, width, &seen.left, &seen.width);
  quarter = rest = 0;
  for (uint32_t x = 0; x < w; ++x) {
    quarter += pixel(h / 4, x, 1) / w;
    rest += pixel(h / 4 + h / 2, x, 1) / w;
  }
  line(quarter, rest, h, height, &seen.top, &seen.height);
  return seen;
}

// However a file stores it, the pack shows the picture, its drawn part, mirrored or not as drawn.
TEST_F(PackPixelsTest, EveryFormatAndOrientationIsSeenAsDrawn) {
  constexpr uint32_t kWidth = 240, kHeight = 160;
  TarWriter tar;
  const std::vector<std::string> files = Oriented(Ramps(kWidth, kHeight));
  for (size_t i = 0; i < files.size(); ++i) {
    tar.Add(absl::StrCat(i, ".jpg"), files[i]).Add(absl::StrCat(i, ".txt"), "ramps");
  }
  const auto manifest = Shard(tar.Finish());
  v1::JobSpec spec = MakeSpec(64);
  spec.mutable_token_drop()->set_kind(v1::TokenDropSpec::NONE);
  spec.mutable_resolution()->set_min_pixels(80);
  for (const bool augmented : {false, true}) {
    if (augmented) {
      spec.mutable_preprocess()->set_horizontal_flip(0.5);
      spec.mutable_preprocess()->mutable_crop()->set_min_area(0.2);
      spec.mutable_preprocess()->mutable_crop()->set_max_area(0.9);
      spec.mutable_preprocess()->mutable_crop()->set_aspect_jitter(1.4);
    }
    DataPlane plane(spec, manifest);
    int mirrored = 0, seen_parts = 0;
    for (uint64_t w = 0; w < 2; ++w) {  // two epochs
      const auto plan = plane.planner->Plan(v1::SPLIT_TRAIN, w);
      ASSERT_TRUE(plan.ok()) << plan.status();
      for (uint32_t p = 0; p < plan->packs(); ++p) {
        const auto made = plane.maker->Make(*plan, p);
        ASSERT_TRUE(made.ok()) << made.status();
        CheckPack(spec, *plan, p, *made);
        v1::Pack pack;
        ASSERT_TRUE(pack.ParseFromString(made->payload));
        for (int e = 0; e < pack.samples_size(); ++e) {
          const Seen seen = PlaceOf(pack, e, 8, kWidth, kHeight);
          const uint64_t sample = pack.samples(e);
          const auto draws = [&](Purpose purpose) {
            return Draws(spec.seed(), 0, w, sample, purpose);
          };
          const Part part =
              DrawCrop(spec.preprocess().crop(), kWidth, kHeight, draws(Purpose::kCrop));
          const bool flip = DrawFlip(spec.preprocess().horizontal_flip(), draws(Purpose::kFlip));
          const double error = 5;  // pixels: levels of the ramp are 1.2 of them
          EXPECT_NEAR(seen.width, flip ? -static_cast<double>(part.width) : part.width, error)
              << sample;
          EXPECT_NEAR(seen.left, flip ? part.left + part.width : part.left, error) << sample;
          EXPECT_NEAR(seen.height, part.height, error) << sample;
          EXPECT_NEAR(seen.top, part.top, error) << sample;
          mirrored += flip ? 1 : 0;
          ++seen_parts;
        }
      }
    }
    EXPECT_EQ(seen_parts, 48);
    EXPECT_EQ(mirrored > 10, augmented);
  }
}

// Evaluation sees whole images, as they are.
TEST_F(PackPixelsTest, EvaluationIsNotAugmented) {
  const auto manifest = Shards(10, 10);
  v1::JobSpec spec = MakeSpec(64);
  const auto first_pack = [&] {
    DataPlane plane(spec, manifest);
    return plane.maker->Make(*plane.planner->Plan(v1::SPLIT_VALIDATION, 0), 0)
        ->header.content_hash();
  };
  const uint64_t plain = first_pack();
  spec.mutable_preprocess()->set_horizontal_flip(1);
  spec.mutable_preprocess()->mutable_crop()->set_min_area(0.2);
  EXPECT_EQ(first_pack(), plain);
}

// The patches of a pack are those of the image, resized as preprocess.interpolation says.
TEST_F(PackPixelsTest, ResizesAsTheJobSays) {
  const Image picture = MakePicture(90, 70, 3);
  const auto manifest =
      Shard(TarWriter().Add("a.png", EncodePng(picture)).Add("a.txt", "a picture").Finish());
  DecodedImage decoded;
  *decoded.MakeRgb(picture.width, picture.height) = picture;
  v1::JobSpec spec = MakeSpec(64);
  spec.mutable_token_drop()->set_kind(v1::TokenDropSpec::NONE);
  ASSERT_EQ(spec.preprocess().interpolation(), v1::PreprocessSpec::BICUBIC) << "the default";
  std::set<std::string> distinct;
  for (const auto& [named, interpolation] :
       {std::pair{v1::PreprocessSpec::BICUBIC, Interpolation::kBicubic},
        {v1::PreprocessSpec::BILINEAR, Interpolation::kBilinear},
        {v1::PreprocessSpec::BOX, Interpolation::kBox},
        // As jobs that were resolved before the field existed.
        {v1::PreprocessSpec::INTERPOLATION_UNSPECIFIED, Interpolation::kBicubic}}) {
    SCOPED_TRACE(v1::PreprocessSpec::Interpolation_Name(named));
    spec.mutable_preprocess()->set_interpolation(named);
    DataPlane plane(spec, manifest);
    const auto plan = plane.planner->Plan(v1::SPLIT_TRAIN, 0);
    ASSERT_TRUE(plan.ok()) << plan.status();
    const auto made = plane.maker->Make(*plan, 0);
    ASSERT_TRUE(made.ok()) << made.status();
    CheckPack(spec, *plan, 0, *made);
    v1::Pack pack;
    ASSERT_TRUE(pack.ParseFromString(made->payload));

    ResizeScratch scratch;
    Image resized;
    ResizeImage(decoded, 8 * pack.grid_columns(0), 8 * pack.grid_rows(0), interpolation, &scratch,
                &resized);
    std::vector<uint32_t> all(pack.image_tokens(0));
    for (uint32_t i = 0; i < all.size(); ++i) all[i] = i;
    std::string patches, positions;
    AppendPatches(resized, 8, all, &patches, &positions);
    EXPECT_TRUE(pack.patches() == patches);
    distinct.insert(std::move(patches));
  }
  EXPECT_EQ(distinct.size(), 3u);
}

}  // namespace
}  // namespace navit
