#include "common/job_spec/pin_weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/files.h"

namespace navit {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatEq;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class PinWeightsTest : public testing::Test {
 protected:
  PinWeightsTest() {
    folder_ = testing::TempDir() + testing::UnitTest::GetInstance()->current_test_info()->name();
    EXPECT_TRUE(EnsureFolder(folder_).ok());
    Write("tower.safetensors", "");
    spec_.mutable_init_from()->set_image(folder_ + "/tower.safetensors");
    for (int i = 0; i < 3; ++i) {
      spec_.mutable_preprocess()->add_mean(0.5);
      spec_.mutable_preprocess()->add_std(0.5);
    }
  }

  void Write(const std::string& name, const std::string& text) {
    EXPECT_TRUE(AtomicWriteFile(folder_ + "/" + name, text).ok());
  }
  std::vector<FieldViolation> Pin() { return PinWeights(store_.get(), &spec_); }

  std::string folder_;
  v1::JobSpec spec_;
  std::shared_ptr<ObjectStore> store_ = MakeObjectStore();
};

TEST_F(PinWeightsTest, TakesMeanAndStdOfTimm) {
  Write(
      "config.json",
      R"({"architecture": "x", "pretrained_cfg": {"mean": [0.48, 0.45, 0.4], "std": [1, 2, 3]}})");
  EXPECT_THAT(Pin(), IsEmpty());
  EXPECT_THAT(spec_.preprocess().mean(),
              ElementsAre(FloatEq(0.48f), FloatEq(0.45f), FloatEq(0.4f)));
  EXPECT_THAT(spec_.preprocess().std(), ElementsAre(1, 2, 3));
}

TEST_F(PinWeightsTest, TakesThoseOfACheckpoint) {
  Write("config.json", R"({"name": "x", "preprocess": {"mean": [0.1, 0.2, 0.3]}})");
  spec_.clear_init_from();
  spec_.mutable_init_from()->set_checkpoint(folder_ + "/");
  EXPECT_THAT(Pin(), IsEmpty());
  EXPECT_THAT(spec_.preprocess().mean(), ElementsAre(FloatEq(0.1f), FloatEq(0.2f), FloatEq(0.3f)));
  EXPECT_THAT(spec_.preprocess().std(), ElementsAre(0.5, 0.5, 0.5));
}

TEST_F(PinWeightsTest, LeavesTheJobFilesWhereTheWeightsSayNothing) {
  EXPECT_THAT(Pin(), IsEmpty());
  spec_.clear_init_from();
  EXPECT_THAT(Pin(), IsEmpty());
  EXPECT_THAT(spec_.preprocess().mean(), ElementsAre(0.5, 0.5, 0.5));
}

TEST_F(PinWeightsTest, NamesWhatCannotBeRead) {
  Write("config.json", R"({"mean": [1, 2]})");
  ASSERT_EQ(Pin().size(), 1);
  EXPECT_EQ(Pin()[0].path, "init_from.image");
  EXPECT_THAT(Pin()[0].message, HasSubstr("config.json: mean: is not three numbers"));
  Write("config.json", "[");
  EXPECT_THAT(Pin()[0].message, HasSubstr("is not a JSON object"));
  spec_.mutable_init_from()->set_image(folder_ + "/absent.safetensors");
  EXPECT_THAT(Pin()[0].message, HasSubstr("absent.safetensors"));
}

}  // namespace
}  // namespace navit
