// Plans and packs together: what a packer process relies on.
#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/stream_layout.h"
#include "gtest/gtest.h"
#include "packer/caption.h"
#include "packer/testing/encode.h"
#include "packer/testing/pack_fixture.h"
#include "packer/testing/tar_writer.h"

namespace navit {
namespace {

using testing::CheckPack;
using testing::DataPlane;
using testing::EncodeJpeg;
using testing::MakePicture;
using testing::MakeSpec;
using testing::PackTest;
using testing::TarWriter;

TEST_F(PackTest, EachSampleOfAnEpochInExactlyOnePack) {
  const auto manifest = Shards(150, 40);
  const v1::JobSpec spec = MakeSpec(64);
  DataPlane plane(spec, manifest);
  const StreamLayout layout = StreamLayout::ForJob(spec, *manifest);
  std::map<uint64_t, std::vector<uint64_t>> samples;
  for (uint64_t w = 0; w < layout.windows(); ++w) {
    const auto plan = plane.planner->Plan(v1::SPLIT_TRAIN, w);
    ASSERT_TRUE(plan.ok()) << plan.status();
    EXPECT_EQ(plan->epoch, w / 3);
    for (uint32_t p = 0; p < plan->packs(); ++p) {
      uint32_t tokens = 0;
      for (uint32_t i = plan->pack_begin[p]; i < plan->pack_begin[p + 1]; ++i) {
        samples[plan->epoch].push_back(plan->examples[i].sample);
        tokens += plan->examples[i].tokens;
      }
      EXPECT_LE(tokens, spec.packing().sequence_length());
      EXPECT_LE(plan->pack_begin[p + 1] - plan->pack_begin[p],
                spec.packing().max_examples_per_sequence());
    }
  }
  EXPECT_NE(samples[0], samples[1]) << "epochs have orders of their own";
  for (auto& [epoch, list] : samples) {
    std::sort(list.begin(), list.end());
    ASSERT_EQ(list.size(), 150u);
    for (uint64_t i = 0; i < 150; ++i) EXPECT_EQ(list[i], i);
  }
  EXPECT_TRUE(absl::IsOutOfRange(plane.planner->Plan(v1::SPLIT_TRAIN, 6).status()));
}

TEST_F(PackTest, PacksKeepTheirPromises) {
  const v1::JobSpec spec = MakeSpec();
  DataPlane plane(spec, Golden());
  for (const v1::Split split : {v1::SPLIT_TRAIN, v1::SPLIT_VALIDATION, v1::SPLIT_TRAINED_PAIRS}) {
    for (uint64_t w = 0; w < 2; ++w) {
      const auto plan = plane.planner->Plan(split, w);
      ASSERT_TRUE(plan.ok()) << plan.status();
      for (uint32_t p = 0; p < plan->packs(); ++p) {
        const auto made = plane.maker->Make(*plan, p);
        ASSERT_TRUE(made.ok()) << made.status();
        CheckPack(spec, *plan, p, *made);
      }
    }
  }
}

// Prefix tokens take room in a sequence, and an image leaves room for them.
TEST_F(PackTest, PrefixTokensCountInTheSequence) {
  v1::JobSpec spec = MakeSpec();
  spec.mutable_model()->mutable_image()->set_prefix_tokens(5);
  spec.mutable_packing()->set_sequence_length(64);
  spec.mutable_packing()->set_exact_fit(0.3);
  spec.mutable_resolution()->set_max_upscale(8);
  spec.mutable_evaluation()->set_token_budgets(0, 64);
  DataPlane plane(spec, Golden());
  for (const v1::Split split : {v1::SPLIT_TRAIN, v1::SPLIT_VALIDATION}) {
    const auto plan = plane.planner->Plan(split, 0);
    ASSERT_TRUE(plan.ok()) << plan.status();
    const uint32_t capacity = split == v1::SPLIT_TRAIN ? 64 : 69;
    EXPECT_EQ(plan->sequence_length, capacity);
    uint32_t largest = 0;
    for (uint32_t p = 0; p < plan->packs(); ++p) {
      uint32_t tokens = 0;
      for (uint32_t i = plan->pack_begin[p]; i < plan->pack_begin[p + 1]; ++i) {
        const PlannedExample& example = plan->examples[i];
        if (example.tokens == 0) continue;
        largest = std::max(largest, example.tokens);
        tokens += example.tokens + 5;
      }
      EXPECT_LE(tokens, capacity);
      const auto made = plane.maker->Make(*plan, p);
      ASSERT_TRUE(made.ok()) << made.status();
      EXPECT_LE(made->header.image_tokens(), tokens);
      v1::Pack pack;
      ASSERT_TRUE(pack.ParseFromString(made->payload));
      uint32_t used = 0;
      for (const uint32_t n : pack.image_tokens()) used += n == 0 ? 0 : n + 5;
      EXPECT_EQ(made->header.image_tokens(), used);
    }
    EXPECT_LE(largest, capacity - 5);
    EXPECT_GE(largest, capacity / 2);
  }
  spec.mutable_model()->mutable_image()->set_prefix_tokens(64);
  EXPECT_TRUE(absl::IsInvalidArgument(
      WindowPlanner::Create(spec, Golden(), std::make_shared<IndexCache>(testing::LocalStore()))
          .status()));
}

// Evaluation: shard order, every image at the token budget, no patch dropped.
TEST_F(PackTest, EvaluationSplits) {
  v1::JobSpec spec = MakeSpec();
  spec.mutable_evaluation()->set_token_budgets(0, 200);
  DataPlane plane(spec, Shards(40, 40));
  uint64_t next = 0;
  for (uint64_t w = 0; w < 2; ++w) {
    const auto plan = plane.planner->Plan(v1::SPLIT_VALIDATION, w);
    ASSERT_TRUE(plan.ok()) << plan.status();
    EXPECT_EQ(plan->sequence_length, 200u) << "an image at the budget fits";
    for (const PlannedExample& example : plan->examples) {
      EXPECT_EQ(example.sample, next++);
      EXPECT_EQ(example.tokens, example.grid_rows * example.grid_columns);
      EXPECT_GE(example.tokens, 160u);
      EXPECT_LE(example.tokens, 200u);
    }
  }
  EXPECT_EQ(next, 40u);
  EXPECT_TRUE(absl::IsOutOfRange(plane.planner->Plan(v1::SPLIT_VALIDATION, 2).status()));
}

TEST_F(PackTest, CaptionsFromJsonAndClass) {
  const std::string image = EncodeJpeg(MakePicture(60, 60, 1));
  const std::string tar =
      TarWriter().Add("a.jpg", image).Add("a.json", "{\"alt\":\"cat\"}").Add("a.cls", "7").Finish();
  for (const auto& [field, caption] :
       {std::pair<std::string, std::string>{"json:alt", "cat"}, {"cls", "7"}}) {
    v1::JobSpec spec = MakeSpec(64);
    spec.mutable_data()->mutable_train(0)->mutable_captions()->set_field(field);
    DataPlane plane(spec, Shard(tar));
    const auto made = plane.maker->Make(*plane.planner->Plan(v1::SPLIT_TRAIN, 0), 0);
    ASSERT_TRUE(made.ok()) << made.status();
    v1::Pack pack;
    ASSERT_TRUE(pack.ParseFromString(made->payload));
    EXPECT_EQ(pack.caption_hashes(0), CaptionHash(caption));
  }
}
TEST_F(PackTest, StatisticsAddUp) {
  const v1::JobSpec spec = MakeSpec(64);
  DataPlane plane(spec, Golden());
  const auto plan = plane.planner->Plan(v1::SPLIT_TRAIN, 0);
  ASSERT_TRUE(plan.ok());
  uint64_t read = 0, dropped = 0;
  for (uint32_t p = 0; p < plan->packs(); ++p) {
    const auto made = plane.maker->Make(*plan, p);
    ASSERT_TRUE(made.ok());
    read += made->stats.samples_read;
    dropped += made->stats.dropped_tokens;
    EXPECT_GT(made->stats.read_bytes, 0u);
    for (const auto& example : made->stats.examples) {
      EXPECT_GE(example.side, spec.resolution().min_pixels());
      EXPECT_LE(example.side, spec.resolution().max_pixels());
      EXPECT_GE(example.drop_ratio, 0);
      EXPECT_LT(example.drop_ratio, 1);
      EXPECT_GT(example.aspect_ratio, 0);
    }
  }
  EXPECT_GT(read, 50u);
  EXPECT_GT(dropped, 0u);
}

TEST_F(PackTest, CreateNamesWhatItCannotPlan) {
  const auto manifest = Shards(5, 5);
  const auto error = [&](auto change) {
    v1::JobSpec spec = MakeSpec();
    change(spec);
    const auto planner =
        WindowPlanner::Create(spec, manifest, std::make_shared<IndexCache>(testing::LocalStore()));
    EXPECT_TRUE(absl::IsInvalidArgument(planner.status()));
    return std::string(planner.status().message());
  };
  EXPECT_NE(error([](v1::JobSpec& s) {
              s.mutable_packing()->set_plan_version(kPlanVersion + 1);
            }).find("packing.plan_version"),
            std::string::npos);
  EXPECT_NE(error([](v1::JobSpec& s) {
              s.mutable_packing()->clear_sequence_length();
            }).find("packing.sequence_length"),
            std::string::npos);
  EXPECT_NE(error([](v1::JobSpec& s) {
              s.mutable_data()->mutable_train(0)->mutable_captions()->set_field("x");
            }).find("captions.field"),
            std::string::npos);
  auto wrong = std::make_shared<v1::DataManifest>(*manifest);
  wrong->set_train_samples(6);
  EXPECT_TRUE(absl::IsInvalidArgument(
      WindowPlanner::Create(MakeSpec(), wrong, std::make_shared<IndexCache>(testing::LocalStore()))
          .status()));
}

}  // namespace
}  // namespace navit
