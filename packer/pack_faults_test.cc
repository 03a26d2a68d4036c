// FAULTS, rows 15 to 18: bad images and captions, shards that change, nothing but bad samples.
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/files.h"
#include "gtest/gtest.h"
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

class PackFaultsTest : public testing::PackTest {};

// FAULTS, row 15: every kind of bad image is a hole with its reason, and the others do not move.
TEST_F(PackFaultsTest, BadImagesAreHolesAndMoveNothing) {
  const std::string good = EncodeJpeg(MakePicture(60, 60, 1));
  std::string bomb = EncodePng(MakePicture(61, 37, 5));
  bomb.replace(16, 8, std::string("\0\0\xEA\x60\0\0\xEA\x60", 8));
  // Damage behind the header: planned like the good one, found when it is decoded.
  const std::string truncated = good.substr(0, good.size() / 2);
  testing::JpegOptions cmyk;
  cmyk.cmyk = true;
  const std::vector<std::pair<std::string, v1::HoleReason>> images = {
      {good, v1::HOLE_REASON_NONE},
      {truncated, v1::HOLE_REASON_DECODE_ERROR},
      {"GIF89a", v1::HOLE_REASON_UNSUPPORTED_FORMAT},
      {good.substr(0, 30), v1::HOLE_REASON_BAD_HEADER},
      {bomb, v1::HOLE_REASON_TOO_LARGE},
      {"", v1::HOLE_REASON_NO_IMAGE},
      {EncodeJpeg(MakePicture(1, 1, 1)), v1::HOLE_REASON_NONE},
      {EncodeJpeg(MakePicture(2000, 3, 1)), v1::HOLE_REASON_NONE},
      {EncodeJpeg(MakePicture(20, 20, 1), cmyk), v1::HOLE_REASON_NONE},
      // Of another kind than its name says, and of 16 bits.
      {EncodePng(MakePicture(20, 20, 1), testing::PngKind::kRgb16), v1::HOLE_REASON_NONE}};
  const v1::JobSpec spec = MakeSpec(64);
  const auto make = [&](bool with_bad_bytes, std::map<uint64_t, v1::HoleReason>* holes) {
    TarWriter tar;
    for (size_t i = 0; i < images.size(); ++i) {
      const bool damaged = images[i].second == v1::HOLE_REASON_DECODE_ERROR;
      tar.Add(absl::StrCat(i, ".jpg"), damaged && !with_bad_bytes ? good : images[i].first);
      tar.Add(absl::StrCat(i, ".txt"), "caption");
    }
    DataPlane plane(spec, Shard(tar.Finish()));
    const auto plan = plane.planner->Plan(v1::SPLIT_TRAIN, 0);
    EXPECT_TRUE(plan.ok()) << plan.status();
    uint64_t hole_tokens = 0;
    for (uint32_t p = 0; p < plan->packs(); ++p) {
      const auto made = plane.maker->Make(*plan, p);
      EXPECT_TRUE(made.ok()) << made.status();
      CheckPack(spec, *plan, p, *made);
      for (const v1::Hole& hole : made->header.holes()) (*holes)[hole.sample()] = hole.reason();
      hole_tokens += made->stats.hole_tokens;
    }
    EXPECT_EQ(hole_tokens > 0, with_bad_bytes);
    return plan->digest;
  };
  std::map<uint64_t, v1::HoleReason> holes, fewer;
  EXPECT_EQ(make(true, &holes), make(false, &fewer)) << "the plan does not know the damage";
  std::map<uint64_t, v1::HoleReason> expected;
  for (size_t i = 0; i < images.size(); ++i) {
    if (images[i].second != v1::HOLE_REASON_NONE) expected[i] = images[i].second;
  }
  EXPECT_EQ(holes, expected);
  expected.erase(1);
  EXPECT_EQ(fewer, expected);
}

// FAULTS, row 18: every sample bad still makes packs, in which each is counted.
TEST_F(PackFaultsTest, AWindowOfHolesHasPacks) {
  TarWriter tar;
  for (int i = 0; i < 50; ++i)
    tar.Add(absl::StrCat(i, ".jpg"), "junk").Add(absl::StrCat(i, ".txt"), "x");
  const v1::JobSpec spec = MakeSpec(64);
  DataPlane plane(spec, Shard(tar.Finish()));
  const auto plan = plane.planner->Plan(v1::SPLIT_TRAIN, 0);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->packs(), 4u) << "50 holes, at most 16 examples a pack";
  EXPECT_EQ(plan->examples.size(), 50u);
  for (uint32_t p = 0; p < plan->packs(); ++p) {
    const auto made = plane.maker->Make(*plan, p);
    ASSERT_TRUE(made.ok()) << made.status();
    CheckPack(spec, *plan, p, *made);
    EXPECT_EQ(made->header.valid_examples(), 0u);
    EXPECT_EQ(made->header.image_tokens(), 0u);
  }
}

TEST_F(PackFaultsTest, MissingCaptionsAreSkippedOrFatal) {
  const std::string image = EncodeJpeg(MakePicture(60, 60, 1));
  const std::string tar =
      TarWriter().Add("a.jpg", image).Add("a.txt", "one").Add("absent.jpg", image).Finish();
  v1::JobSpec spec = MakeSpec(64);
  {
    DataPlane plane(spec, Shard(tar));
    const auto plan = plane.planner->Plan(v1::SPLIT_TRAIN, 0);
    ASSERT_TRUE(plan.ok()) << plan.status();
    const auto made = plane.maker->Make(*plan, 0);
    ASSERT_TRUE(made.ok()) << made.status();
    ASSERT_EQ(made->header.holes_size(), 1);
    EXPECT_EQ(made->header.holes(0).reason(), v1::HOLE_REASON_NO_CAPTION);
  }
  spec.mutable_data()->mutable_train(0)->mutable_captions()->set_if_missing(v1::CaptionsSpec::FAIL);
  {
    DataPlane plane(spec, Shard(tar));
    const auto plan = plane.planner->Plan(v1::SPLIT_TRAIN, 0);
    EXPECT_TRUE(absl::IsFailedPrecondition(plan.status())) << plan.status();
    EXPECT_NE(plan.status().message().find("0.tar: sample absent"), absl::string_view::npos);
  }
  // A caption of white space is none: the lengths of captions are planned too.
  const std::string blank = TarWriter().Add("b.jpg", image).Add("b.txt", " \n").Finish();
  for (const bool fail : {false, true}) {
    spec.mutable_data()->mutable_train(0)->mutable_captions()->set_if_missing(
        fail ? v1::CaptionsSpec::FAIL : v1::CaptionsSpec::SKIP);
    DataPlane plane(spec, Shard(blank));
    const auto plan = plane.planner->Plan(v1::SPLIT_TRAIN, 0);
    if (fail) {
      EXPECT_TRUE(absl::IsFailedPrecondition(plan.status())) << plan.status();
      EXPECT_NE(plan.status().message().find("0.tar: sample b"), absl::string_view::npos);
      continue;
    }
    ASSERT_TRUE(plan.ok()) << plan.status();
    EXPECT_EQ(plan->examples[0].hole, v1::HOLE_REASON_NO_CAPTION);
    const auto made = plane.maker->Make(*plan, 0);
    ASSERT_TRUE(made.ok()) << made.status();
    EXPECT_EQ(made->header.holes(0).reason(), v1::HOLE_REASON_NO_CAPTION);
  }
}

// FAULTS, row 17.
TEST_F(PackFaultsTest, AShardThatChangesOrVanishesIsNamed) {
  const std::string image = EncodeJpeg(MakePicture(60, 60, 1));
  const std::string tar = TarWriter().Add("a.jpg", image).Add("a.txt", "cat").Finish();
  const v1::JobSpec spec = MakeSpec(64);
  DataPlane plane(spec, Shard(tar));
  const std::string shard = folder_ + "/0.tar";
  const auto plan = plane.planner->Plan(v1::SPLIT_TRAIN, 0);
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_TRUE(plane.maker->Make(*plan, 0).ok());
  const auto status = [&](const std::string& bytes) {
    testing::WriteBytes(shard, bytes);
    const absl::Status made = plane.maker->Make(*plan, 0).status();
    EXPECT_NE(made.message().find(shard), absl::string_view::npos) << made;
    return made;
  };
  std::string other = tar;
  other[512 + image.size() / 2] ^= 1;
  EXPECT_TRUE(absl::IsFailedPrecondition(status(other))) << "image bytes";
  other = tar;
  other[tar.find("cat")] = 'b';
  EXPECT_TRUE(absl::IsFailedPrecondition(status(other))) << "caption bytes";
  EXPECT_TRUE(absl::IsFailedPrecondition(status(tar + tar))) << "size";
  EXPECT_TRUE(absl::IsFailedPrecondition(status("")));
  ASSERT_TRUE(RemoveAll(shard).ok());
  const absl::Status vanished = plane.maker->Make(*plan, 0).status();
  EXPECT_TRUE(absl::IsUnavailable(vanished)) << vanished;
  EXPECT_NE(vanished.message().find(shard), absl::string_view::npos);
  // Back as it was: all is well.
  testing::WriteBytes(shard, tar);
  EXPECT_TRUE(plane.maker->Make(*plan, 0).ok());
}

}  // namespace
}  // namespace navit
