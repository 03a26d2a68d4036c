// Captions from the shard to the pack: lengths planned from the second sidecar, one of several
// captions by keyed draw, SentencePiece beside bytes.
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/files.h"
#include "common/job_spec/pin_tokenizer.h"
#include "gtest/gtest.h"
#include "packer/caption_index.h"
#include "packer/pack_maker.h"
#include "packer/plan.h"
#include "packer/sentencepiece/model.h"
#include "packer/testing/encode.h"
#include "packer/testing/job.h"
#include "packer/testing/tar_writer.h"

namespace navit {
namespace {

using testing::DataPlane;
using testing::MakeManifest;
using testing::MakeSpec;
using testing::TarWriter;

constexpr uint32_t kSamples = 48;

// Sample i has i % 5 captions, "caption I.K of a garden".
std::string Caption(uint32_t i, uint32_t k) {
  return absl::StrCat("caption ", i, ".", k, " of a garden", std::string(k, '!'));
}

class CaptionPackTest : public ::testing::Test {
 protected:
  CaptionPackTest() : folder_(testing::NewFolder("captions")) {
    TarWriter tar;
    for (uint32_t i = 0; i < kSamples; ++i) {
      tar.Add(absl::StrCat(i, ".jpg"), testing::EncodeJpeg(testing::MakePicture(30, 40, i)));
      std::string lines, json = "{\"meta\": {\"alts\": [";
      for (uint32_t k = 0; k < i % 5; ++k) {
        absl::StrAppend(&lines, Caption(i, k), "\n");
        absl::StrAppend(&json, k == 0 ? "" : ", ", "\"", Caption(i, k), "\"");
      }
      tar.Add(absl::StrCat(i, ".txt"), lines).Add(absl::StrCat(i, ".json"), json + "]}}");
    }
    testing::WriteBytes(folder_ + "/0.tar", tar.Finish());
    manifest_ = MakeManifest({folder_ + "/0.tar"}, "");
    spec_ = MakeSpec(kSamples);
    captions()->set_field("json:meta.alts");
    captions()->set_choose(v1::CaptionsSpec::RANDOM);
  }

  v1::CaptionsSpec* captions() {
    return spec_.mutable_data()->mutable_train(0)->mutable_captions();
  }

  // Trains a model on the captions and puts it into the spec.
  void UseSentencePiece() {
    uint32_t i = 0;
    std::string text;
    const auto model = TrainSentencePieceModel({.vocabulary_size = 290},
                                               [&]() -> std::optional<absl::string_view> {
                                                 if (i == 5 * kSamples) return std::nullopt;
                                                 text = Caption(i / 5, i % 5);
                                                 ++i;
                                                 return text;
                                               });
    ASSERT_TRUE(model.ok()) << model.status();
    testing::WriteBytes(folder_ + "/captions.model", *model);
    v1::TextTowerSpec* tower = spec_.mutable_model()->mutable_text();
    tower->set_tokenizer(folder_ + "/captions.model");
    tower->clear_vocabulary_size();
    ASSERT_TRUE(PinTokenizer(testing::LocalStore().get(), &spec_).empty());
  }

  // Makes every pack of the window and checks that captions and their tokens are as planned;
  // returns the caption's number of each sample that has one.
  std::map<uint64_t, uint32_t> CheckWindow(const DataPlane& plane, v1::Split split,
                                           uint64_t window) {
    std::map<uint64_t, uint32_t> chosen;
    const auto plan = plane.planner->Plan(split, window);
    EXPECT_TRUE(plan.ok()) << plan.status();
    if (!plan.ok()) return chosen;
    for (uint32_t p = 0; p < plan->packs(); ++p) {
      const auto made = plane.maker->Make(*plan, p);
      EXPECT_TRUE(made.ok()) << made.status();
      if (!made.ok()) return chosen;
      v1::Pack pack;
      EXPECT_TRUE(pack.ParseFromString(made->payload));
      uint64_t tokens = 0;
      for (uint32_t e = plan->pack_begin[p]; e < plan->pack_begin[p + 1]; ++e) {
        const PlannedExample& example = plan->examples[e];
        const int place = static_cast<int>(e - plan->pack_begin[p]);
        EXPECT_EQ(pack.text_tokens(place), example.text_tokens);
        tokens += example.text_tokens;
        if (example.hole != v1::HOLE_REASON_NONE) {
          EXPECT_EQ(example.hole, v1::HOLE_REASON_NO_CAPTION);
          EXPECT_EQ(example.row % 5, 0u) << "these have no caption";
          EXPECT_EQ(example.text_tokens, 0u);
          continue;
        }
        chosen[example.row] = example.caption;
        EXPECT_LT(example.caption, example.row % 5);
        EXPECT_EQ(pack.caption_hashes(place), CaptionHash(Caption(example.row, example.caption)));
      }
      EXPECT_EQ(made->header.text_tokens(), tokens);
      EXPECT_EQ(pack.text().size(), 2 * tokens);
    }
    return chosen;
  }

  const std::string folder_;
  v1::JobSpec spec_;
  std::shared_ptr<const v1::DataManifest> manifest_;
};

TEST_F(CaptionPackTest, OneOfSeveralByKeyedDraw) {
  const DataPlane plane(spec_, manifest_);
  std::map<uint32_t, std::set<uint32_t>> seen;  // by number of captions
  bool changed = false;
  const auto first = CheckWindow(plane, v1::SPLIT_TRAIN, 0);
  const auto second = CheckWindow(plane, v1::SPLIT_TRAIN, 1);
  EXPECT_EQ(first.size(), kSamples - (kSamples + 4) / 5);
  for (const auto& [row, caption] : first) {
    seen[row % 5].insert(caption);
    changed |= second.at(row) != caption;
  }
  EXPECT_TRUE(changed) << "an epoch draws anew";
  EXPECT_EQ(seen[4], (std::set<uint32_t>{0, 1, 2, 3}));
  EXPECT_EQ(CheckWindow(DataPlane(spec_, manifest_), v1::SPLIT_TRAIN, 0), first)
      << "a pure function";
}

TEST_F(CaptionPackTest, FirstByDefaultAndAlwaysAtEvaluation) {
  for (const auto& [row, caption] :
       CheckWindow(DataPlane(spec_, manifest_), v1::SPLIT_TRAINED_PAIRS, 0)) {
    EXPECT_EQ(caption, 0u) << row;
  }
  captions()->set_choose(v1::CaptionsSpec::FIRST);
  for (const auto& [row, caption] : CheckWindow(DataPlane(spec_, manifest_), v1::SPLIT_TRAIN, 0)) {
    EXPECT_EQ(caption, 0u) << row;
  }
}

TEST_F(CaptionPackTest, LinesOfATextAreTheSameCaptions) {
  const auto json = CheckWindow(DataPlane(spec_, manifest_), v1::SPLIT_TRAIN, 0);
  captions()->set_field("txt");
  captions()->set_lines(true);
  EXPECT_EQ(CheckWindow(DataPlane(spec_, manifest_), v1::SPLIT_TRAIN, 0), json);
}

TEST_F(CaptionPackTest, AMissingCaptionFailsTheJobThatSaysSo) {
  captions()->set_if_missing(v1::CaptionsSpec::FAIL);
  const auto plan = DataPlane(spec_, manifest_).planner->Plan(v1::SPLIT_TRAIN, 0);
  ASSERT_TRUE(absl::IsFailedPrecondition(plan.status()));
  EXPECT_TRUE(absl::StrContains(plan.status().message(), "has no caption"));
}

TEST_F(CaptionPackTest, SentencePieceTokensAreAsPlanned) {
  if (!SentencePieceAvailable()) GTEST_SKIP() << "not in an AddressSanitizer build";
  const auto bytes = DataPlane(spec_, manifest_).planner->Plan(v1::SPLIT_TRAIN, 0);
  UseSentencePiece();
  const DataPlane plane(spec_, manifest_);
  CheckWindow(plane, v1::SPLIT_TRAIN, 0);
  const auto pieces = plane.planner->Plan(v1::SPLIT_TRAIN, 0);
  ASSERT_TRUE(bytes.ok() && pieces.ok());
  uint64_t of_bytes = 0, of_pieces = 0;
  for (const PlannedExample& e : bytes->examples) of_bytes += e.text_tokens;
  for (const PlannedExample& e : pieces->examples) of_pieces += e.text_tokens;
  EXPECT_LT(of_pieces, of_bytes);
  EXPECT_NE(pieces->digest, bytes->digest);
}

TEST_F(CaptionPackTest, TheSidecarIsOfOneShardAndOneSetting) {
  const v1::ShardEntry& entry = manifest_->train(0);
  const auto tokenizer =
      CaptionTokenizer::Create(testing::LocalStore().get(), *captions(), spec_.model().text());
  ASSERT_TRUE(tokenizer.ok());
  const std::string path = CaptionSidecarPath(entry.index_path(), tokenizer->settings_hash());
  ASSERT_FALSE(FileExists(path));
  ASSERT_TRUE(IndexCaptions(testing::LocalStore().get(), entry, *tokenizer).ok());
  const auto read = ReadCaptionIndex(testing::LocalStore().get(), path);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(CaptionIndexFits(*read, entry, *tokenizer));
  ASSERT_EQ(read->counts_size(), static_cast<int>(kSamples));
  for (uint32_t i = 0; i < kSamples; ++i) EXPECT_EQ(read->counts(static_cast<int>(i)), i % 5);

  v1::TextTowerSpec longer = spec_.model().text();
  longer.set_max_tokens(longer.max_tokens() + 1);
  EXPECT_NE(
      CaptionTokenizer::Create(testing::LocalStore().get(), *captions(), longer)->settings_hash(),
      tokenizer->settings_hash());
  v1::CaptionsSpec other = *captions();
  other.set_field("json:meta");
  EXPECT_NE(CaptionTokenizer::Create(testing::LocalStore().get(), other, spec_.model().text())
                ->settings_hash(),
            tokenizer->settings_hash());

  // Damaged or of another shard: made again.
  const auto plan = DataPlane(spec_, manifest_).planner->Plan(v1::SPLIT_TRAIN, 0);
  testing::WriteBytes(path, "damaged");
  EXPECT_TRUE(
      absl::IsInvalidArgument(ReadCaptionIndex(testing::LocalStore().get(), path).status()));
  EXPECT_EQ(DataPlane(spec_, manifest_).planner->Plan(v1::SPLIT_TRAIN, 0)->digest, plan->digest);
  ASSERT_TRUE(IndexCaptions(testing::LocalStore().get(), entry, *tokenizer).ok());
  EXPECT_TRUE(ReadCaptionIndex(testing::LocalStore().get(), path).ok());
}

TEST_F(CaptionPackTest, APackIsNotMadeOfOtherTokensThanWerePlanned) {
  const DataPlane plane(spec_, manifest_);
  auto plan = plane.planner->Plan(v1::SPLIT_TRAIN, 0);
  ASSERT_TRUE(plan.ok());
  for (PlannedExample& example : plan->examples) {
    if (example.hole == v1::HOLE_REASON_NONE) ++example.text_tokens;
  }
  const auto made = plane.maker->Make(*plan, 0);
  ASSERT_TRUE(absl::IsFailedPrecondition(made.status())) << made.status();
  EXPECT_TRUE(absl::StrContains(made.status().message(), "were planned"));
}

}  // namespace
}  // namespace navit
