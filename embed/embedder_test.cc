#include "embed/embedder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

#include "common/job_spec/resolve.h"
#include "packer/testing/encode.h"

namespace navit {
namespace {

using ::testing::HasSubstr;

StoredModel Model() {
  v1::JobSpec spec;
  spec.mutable_model()->mutable_image()->set_preset("mu");
  spec.mutable_model()->mutable_image()->set_patch_size(4);
  spec.mutable_evaluation()->add_token_budgets(8);
  ResolveJobSpec(&spec);
  ParameterTable table(*ResolveModelConfig(spec.model(), spec.preprocess(), spec.loss()));
  ModelState state(table);
  InitializeState(table, 5, &state);
  return {std::move(spec), std::move(table), std::move(state.parameters), "1"};
}

class EmbedderTest : public ::testing::Test {
 protected:
  std::unique_ptr<Embedder> Make(const EmbedderOptions& options = {}) {
    auto embedder = Embedder::Create(Model(), store_.get(), options);
    EXPECT_TRUE(embedder.ok()) << embedder.status();
    return *std::move(embedder);
  }

  // Embedding of one image alone.
  std::vector<float> Alone(const std::string& file) {
    const auto embedder = Make();
    EXPECT_TRUE(embedder->AddImage(file).ok());
    return embedder->TakeImages();
  }

  std::shared_ptr<ObjectStore> store_ = MakeObjectStore();
};

TEST_F(EmbedderTest, ABatchIsWhatEachIsAlone) {
  const std::vector<std::string> files = {
      testing::EncodePng(testing::MakePicture(40, 20, 1)),
      testing::EncodeJpeg(testing::MakePicture(7, 90, 2)),
      testing::EncodePng(testing::MakePicture(5, 5, 3)),
  };
  const auto embedder = Make({.threads = 2});
  std::vector<float> wanted;
  for (const std::string& file : files) {
    ASSERT_TRUE(embedder->AddImage(file).ok());
    const std::vector<float> alone = Alone(file);
    wanted.insert(wanted.end(), alone.begin(), alone.end());
  }
  EXPECT_EQ(embedder->size(), 3);
  EXPECT_LE(embedder->tokens(), 3 * 8);
  EXPECT_EQ(embedder->TakeImages(), wanted);
  EXPECT_EQ(embedder->size(), 0);
  EXPECT_TRUE(embedder->TakeImages().empty());
}

TEST_F(EmbedderTest, AnImageIsSeenAsItsOrientationSays) {
  const Image picture = testing::MakePicture(16, 8, 4);
  for (uint32_t orientation : {3, 6, 8}) {
    Image turned;
    ApplyOrientation(picture, orientation, &turned);
    EXPECT_EQ(Alone(testing::EncodePng(picture, testing::PngKind::kRgb, false,
                                       static_cast<int>(orientation))),
              Alone(testing::EncodePng(turned)))
        << orientation;
  }
}

TEST_F(EmbedderTest, CaptionsAreTrimmedAndPackedAlike) {
  const auto embedder = Make();
  ASSERT_TRUE(embedder->AddCaption("a red boat").ok());
  const std::vector<float> alone = embedder->TakeCaptions();
  ASSERT_TRUE(embedder->AddCaption("something else").ok());
  ASSERT_TRUE(embedder->AddCaption("  a red boat\r").ok());
  const std::vector<float> both = embedder->TakeCaptions();
  EXPECT_EQ(std::vector<float>(both.begin() + embedder->text_dim(), both.end()), alone);
}

TEST_F(EmbedderTest, FeaturesHaveTheTowersWidth) {
  const auto embedder = Make({.features = true});
  EXPECT_EQ(embedder->image_dim(), 32);
  ASSERT_TRUE(embedder->AddImage(testing::EncodePng(testing::MakePicture(9, 9, 1))).ok());
  EXPECT_EQ(embedder->TakeImages().size(), 32);
}

TEST_F(EmbedderTest, SaysWhyAnInputCannotBeUsed) {
  const auto embedder = Make();
  const std::string whole = testing::EncodePng(testing::MakePicture(40, 40, 1));
  EXPECT_THAT(embedder->AddImage("no image").message(), HasSubstr("is no JPEG, PNG or WebP"));
  EXPECT_THAT(embedder->AddImage(whole.substr(0, whole.size() / 2)).message(),
              HasSubstr("decode_error"));
  EXPECT_THAT(embedder->AddCaption(" \t").message(), HasSubstr("empty"));
  EXPECT_EQ(embedder->size(), 0);
}

}  // namespace
}  // namespace navit
