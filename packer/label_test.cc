// Labels from the shard to the pack, with captions beside them and without.
#include "packer/label.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/job_spec/resolve.h"
#include "gtest/gtest.h"
#include "packer/pack_maker.h"
#include "packer/plan.h"
#include "packer/testing/encode.h"
#include "packer/testing/job.h"
#include "packer/testing/tar_writer.h"

namespace navit {
namespace {

using testing::DataPlane;
using testing::TarWriter;

v1::LabelsSpec Labels(const std::string& field, bool fail = false) {
  v1::LabelsSpec labels;
  labels.set_field(field);
  labels.set_if_missing(fail ? v1::CaptionsSpec::FAIL : v1::CaptionsSpec::SKIP);
  return labels;
}

TEST(LabelReader, ReadsWholeNumbers) {
  const LabelReader cls = **LabelReader::Create(Labels("cls"), 10);
  EXPECT_EQ(**cls.Read("7", "s"), 7u);
  EXPECT_EQ(**cls.Read(" 0\n", "s"), 0u);
  for (const char* none : {"", "cat", "7.5", "-1", "7 8", "99999999999999999999"}) {
    EXPECT_EQ(*cls.Read(none, "s"), std::nullopt) << none;
  }
  const LabelReader json = **LabelReader::Create(Labels("json:a.label"), 10);
  EXPECT_EQ(**json.Read(R"({"a":{"label":3}})", "s"), 3u);
  EXPECT_EQ(**json.Read(R"({"a":{"label":"3"}})", "s"), 3u);
  for (const char* none :
       {"", "3", R"({"label":3})", R"({"a":{"label":[3,4]}})", R"({"a":{"label":null}})"}) {
    EXPECT_EQ(*json.Read(none, "s"), std::nullopt) << none;
  }
}

TEST(LabelReader, NamesTheSample) {
  const LabelReader reader = **LabelReader::Create(Labels("cls", /*fail=*/true), 10);
  EXPECT_EQ(reader.Read("10", "/d/0.tar: sample k").status(),
            absl::FailedPreconditionError("/d/0.tar: sample k has label 10; labels are below "
                                          "model.classes, which is 10"));
  EXPECT_EQ(reader.Read("cat", "/d/0.tar: sample k").status(),
            absl::FailedPreconditionError(
                "/d/0.tar: sample k has no label, and labels.if_missing is fail"));
}

TEST(LabelReader, RefusesFieldsWithoutLabels) {
  EXPECT_EQ(*LabelReader::Create(v1::LabelsSpec(), 0), std::nullopt);
  EXPECT_TRUE(absl::IsInvalidArgument(LabelReader::Create(Labels("txt"), 10).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(LabelReader::Create(Labels("cls"), 0).status()));
}

class LabelPackTest : public ::testing::Test {
 protected:
  LabelPackTest() : folder_(testing::NewFolder("labels")), spec_(testing::MakeSpec(64)) {
    spec_.mutable_model()->set_classes(10);
    for (v1::Dataset* dataset :
         {spec_.mutable_data()->mutable_train(0), spec_.mutable_data()->mutable_validation(0)}) {
      *dataset->mutable_labels() = Labels("cls");
    }
  }

  // Sample i has label i % 10 and a caption; 3 has no label, 5 a wrong one.
  void WriteShard(const std::string& label_of_5) {
    TarWriter tar;
    for (uint32_t i = 0; i < 24; ++i) {
      tar.Add(absl::StrCat(i, ".jpg"), testing::EncodeJpeg(testing::MakePicture(30, 40, i)));
      tar.Add(absl::StrCat(i, ".txt"), absl::StrCat("picture ", i));
      if (i == 3) continue;
      tar.Add(absl::StrCat(i, ".cls"), i == 5 ? label_of_5 : absl::StrCat(i % 10));
    }
    testing::WriteBytes(folder_ + "/0.tar", tar.Finish());
    manifest_ = testing::MakeManifest({folder_ + "/0.tar"}, "");
  }

  void Classify() {
    spec_.mutable_loss()->set_kind(v1::LossSpec::SIGMOID_CLASSIFICATION);
    ResolveJobSpec(&spec_);
  }

  // Label of each sample of the split's only window; -1: a hole for want of one.
  std::vector<int64_t> MakeAll(v1::Split split) {
    std::vector<int64_t> labels(24, -2);
    const DataPlane plane(spec_, manifest_);
    const auto plan = plane.planner->Plan(split, 0);
    EXPECT_TRUE(plan.ok()) << plan.status();
    if (!plan.ok()) return labels;
    for (uint32_t p = 0; p < plan->packs(); ++p) {
      const auto made = plane.maker->Make(*plan, p);
      EXPECT_TRUE(made.ok()) << made.status();
      if (!made.ok()) return labels;
      v1::Pack pack;
      EXPECT_TRUE(pack.ParseFromString(made->payload));
      EXPECT_EQ(pack.labels_size(), pack.samples_size());
      const int texts = spec_.model().has_text() ? pack.samples_size() : 0;
      EXPECT_EQ(pack.text_tokens_size(), texts);
      EXPECT_EQ(pack.caption_hashes_size(), texts);
      EXPECT_EQ(pack.text().empty(), texts == 0);
      for (int i = 0; i < pack.samples_size(); ++i) labels[pack.samples(i)] = pack.labels(i);
      for (const v1::Hole& hole : made->header.holes()) {
        EXPECT_EQ(hole.reason(), v1::HOLE_REASON_NO_LABEL);
        EXPECT_EQ(labels[hole.sample()], 0);
        labels[hole.sample()] = -1;
      }
    }
    return labels;
  }

  const std::string folder_;
  v1::JobSpec spec_;
  std::shared_ptr<const v1::DataManifest> manifest_;
};

TEST_F(LabelPackTest, EveryExampleHasItsLabelOrIsAHole) {
  WriteShard("no class");
  std::vector<int64_t> wanted;
  for (int64_t i = 0; i < 24; ++i) wanted.push_back(i == 3 || i == 5 ? -1 : i % 10);
  EXPECT_EQ(MakeAll(v1::SPLIT_TRAIN), wanted) << "beside captions";
  Classify();
  ASSERT_FALSE(spec_.model().has_text());
  EXPECT_EQ(MakeAll(v1::SPLIT_TRAIN), wanted);
  EXPECT_EQ(MakeAll(v1::SPLIT_VALIDATION), wanted);
}

TEST_F(LabelPackTest, ALabelBeyondTheClassesNamesShardAndSample) {
  WriteShard("10");
  Classify();
  const DataPlane plane(spec_, manifest_);
  const auto plan = plane.planner->Plan(v1::SPLIT_TRAIN, 0);
  ASSERT_TRUE(plan.ok()) << plan.status();
  absl::Status status;
  for (uint32_t p = 0; p < plan->packs(); ++p) status.Update(plane.maker->Make(*plan, p).status());
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "0.tar: sample 5 has label 10")) << status;
}

TEST_F(LabelPackTest, CaptionsAndTheirIndexesAreNotRead) {
  TarWriter tar;
  tar.Add("a.jpg", testing::EncodeJpeg(testing::MakePicture(30, 40, 1))).Add("a.cls", "1");
  testing::WriteBytes(folder_ + "/0.tar", tar.Finish());
  manifest_ = testing::MakeManifest({folder_ + "/0.tar"}, "");
  Classify();
  spec_.mutable_data()->mutable_train(0)->mutable_captions()->set_if_missing(
      v1::CaptionsSpec::FAIL);
  const DataPlane plane(spec_, manifest_);
  const auto plan = plane.planner->Plan(v1::SPLIT_TRAIN, 0);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->examples[0].hole, v1::HOLE_REASON_NONE);
  EXPECT_EQ(plan->examples[0].text_tokens, 0u);
}

// One epoch of the stream for each budget; a pack says which.
TEST_F(LabelPackTest, HeldOutDataIsMadeAtEachTokenBudget) {
  WriteShard("5");
  Classify();
  spec_.mutable_evaluation()->clear_token_budgets();
  for (const uint32_t budget : {9, 40, 200}) spec_.mutable_evaluation()->add_token_budgets(budget);
  spec_.mutable_packing()->set_window_samples(16);
  const DataPlane plane(spec_, manifest_);
  uint64_t window = 0;
  for (int b = 0; b < 3; ++b) {
    std::vector<uint64_t> samples;
    const uint32_t budget = spec_.evaluation().token_budgets(b);
    for (int half = 0; half < 2; ++half, ++window) {
      const auto plan = plane.planner->Plan(v1::SPLIT_VALIDATION, window);
      ASSERT_TRUE(plan.ok()) << plan.status();
      EXPECT_EQ(plan->sequence_length, std::max(128u, budget));
      for (const PlannedExample& example : plan->examples) {
        samples.push_back(example.sample);
        EXPECT_LE(example.tokens, budget);
        EXPECT_GT(example.tokens, budget / 2);
      }
      const auto made = plane.maker->Make(*plan, 0);
      ASSERT_TRUE(made.ok()) << made.status();
      v1::Pack pack;
      ASSERT_TRUE(pack.ParseFromString(made->payload));
      EXPECT_EQ(pack.epoch(), static_cast<uint32_t>(b));
    }
    std::vector<uint64_t> all(24);
    std::iota(all.begin(), all.end(), 0);
    EXPECT_EQ(samples, all);
  }
  EXPECT_TRUE(absl::IsOutOfRange(plane.planner->Plan(v1::SPLIT_VALIDATION, window).status()));
}

TEST_F(LabelPackTest, TheProbeTakesSamplesFromAllOverTheTrainingData) {
  WriteShard("5");
  spec_.mutable_evaluation()->mutable_linear_probe()->set_samples(7);
  const DataPlane plane(spec_, manifest_);
  const auto plan = plane.planner->Plan(v1::SPLIT_PROBE, 0);
  ASSERT_TRUE(plan.ok()) << plan.status();
  std::vector<uint64_t> samples;
  for (const PlannedExample& example : plan->examples) samples.push_back(example.sample);
  EXPECT_EQ(samples, (std::vector<uint64_t>{0, 3, 6, 10, 13, 17, 20}));
}

TEST_F(LabelPackTest, PromptsArePacksOfTexts) {
  WriteShard("5");
  v1::ZeroShotSpec* zero_shot = spec_.mutable_evaluation()->mutable_zero_shot();
  for (const char* name : {"cat", "dog", "newt"}) zero_shot->add_class_names(name);
  for (const char* text : {"a {}", "the {}."}) zero_shot->add_templates(text);
  spec_.mutable_packing()->set_max_examples_per_sequence(4);
  const DataPlane plane(spec_, manifest_);
  const auto plan = plane.planner->Plan(v1::SPLIT_PROMPTS, 0);
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_EQ(plan->pack_begin, (std::vector<uint32_t>{0, 4, 6}));
  std::vector<uint64_t> hashes;
  std::vector<uint32_t> labels;
  for (uint32_t p = 0; p < 2; ++p) {
    const auto made = plane.maker->Make(*plan, p);
    ASSERT_TRUE(made.ok()) << made.status();
    v1::Pack pack;
    ASSERT_TRUE(pack.ParseFromString(made->payload));
    hashes.insert(hashes.end(), pack.caption_hashes().begin(), pack.caption_hashes().end());
    labels.insert(labels.end(), pack.labels().begin(), pack.labels().end());
    uint32_t tokens = 0;
    for (const uint32_t count : pack.text_tokens()) tokens += count;
    EXPECT_EQ(pack.text().size(), 2 * tokens);
    EXPECT_EQ(made->header.text_tokens(), tokens);
    EXPECT_EQ(made->header.image_tokens(), 0u);
    EXPECT_TRUE(pack.patches().empty());
  }
  EXPECT_EQ(labels, (std::vector<uint32_t>{0, 0, 1, 1, 2, 2}));
  EXPECT_EQ(hashes[3], CaptionHash("the dog."));
  EXPECT_EQ(hashes[4], CaptionHash("a newt"));
  EXPECT_TRUE(absl::IsOutOfRange(plane.planner->Plan(v1::SPLIT_PROMPTS, 1).status()));
}

}  // namespace
}  // namespace navit
