#include "packer/agent/shard_sample.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "packer/testing/encode.h"
#include "packer/testing/job.h"
#include "packer/testing/tar_writer.h"

namespace navit {
namespace {

// Shards of `samples` captioned images.
void WriteShards(const std::string& folder, int shards, int samples) {
  const std::string image = testing::EncodePng(testing::MakePicture(40, 30, 1));
  for (int s = 0; s < shards; ++s) {
    testing::TarWriter tar;
    for (int i = 0; i < samples; ++i) {
      tar.Add(absl::StrCat(i, ".png"), image).Add(absl::StrCat(i, ".txt"), "a picture");
    }
    testing::WriteBytes(absl::StrCat(folder, "/", s, ".tar"), tar.Finish());
  }
}

TEST(SampleShards, JudgesTheWholeByAPartOfShardsAndBytes) {
  const std::string folder = testing::NewFolder("sample");
  WriteShards(folder, 5, 200);
  v1::JobSpec spec = testing::MakeSpec();
  spec.mutable_data()->mutable_train(0)->set_shards(folder);
  spec.mutable_data()->clear_validation();
  RealDataPlane data({});
  ShardSampleOptions options;
  options.most_shard_bytes = 200000;
  options.enough_samples = 100;
  const auto sample = SampleShards(spec, options, *Clock::Real(), &data);
  ASSERT_TRUE(sample.ok()) << sample.status();
  EXPECT_EQ(sample->all_shards(), 5u);
  EXPECT_LT(sample->shards(), 5u);
  EXPECT_GE(sample->manifest->train_samples(), 100u);
  EXPECT_LT(sample->manifest->train_samples(), 200 * sample->shards()) << "parts of shards";
  ASSERT_EQ(sample->samples_total.size(), 1u);
  EXPECT_NEAR(sample->samples_total[0], 5 * 200, 5);
  // Plans and packs can be made of it.
  const auto packs = data.Open(spec, sample->manifest);
  ASSERT_TRUE(packs.ok()) << packs.status();
  const auto plan = (*packs)->Plan(v1::SPLIT_TRAIN, 0);
  ASSERT_TRUE(plan.ok()) << plan.status();
  const auto made = (*packs)->Make(*plan, 0);
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_GT(made->header.valid_examples(), 0u);
}

}  // namespace
}  // namespace navit
