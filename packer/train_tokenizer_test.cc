#include "packer/train_tokenizer.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "common/files.h"
#include "gtest/gtest.h"
#include "packer/testing/job.h"
#include "packer/testing/tar_writer.h"

namespace navit {
namespace {

class TrainTokenizerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!SentencePieceAvailable()) GTEST_SKIP() << "not in an AddressSanitizer build";
    for (const char* part : {"a", "b"}) {
      testing::TarWriter tar;
      for (int i = 0; i < 200; ++i) {
        tar.Add(absl::StrCat(part, i, ".txt"),
                absl::StrCat("the ", i * i % 37, " red houses of the old town ", part, i % 11,
                             "\na second caption of picture ", i * 7 % 53));
      }
      testing::WriteBytes(folder_ + "/" + part + ".tar", tar.Finish());
    }
    v1::Dataset* dataset = data_.add_train();
    dataset->set_shards(folder_ + "/*.tar");
    dataset->mutable_captions()->set_field("txt");
    dataset->mutable_captions()->set_lines(true);
    training_.model.vocabulary_size = 300;
  }
  absl::StatusOr<TrainedTokenizer> Train() const {
    return TrainTokenizer(testing::LocalStore().get(), data_, training_);
  }

  const std::string folder_ = testing::NewFolder("train-tokenizer");
  v1::DataSpec data_;
  TokenizerTraining training_;
};

TEST_F(TrainTokenizerTest, LearnsFromEveryCaptionAndGivesEqualBytes) {
  const auto trained = Train();
  ASSERT_TRUE(trained.ok()) << trained.status();
  EXPECT_EQ(trained->captions, 800u);
  EXPECT_EQ(trained->captions_used, 800u);
  EXPECT_EQ(Train()->bytes, trained->bytes);
  const auto model = SentencePieceModel::Load(trained->bytes);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ((*model)->pieces(), 300u);
  // Of words that both shards have.
  const std::string words = "red houses of the old town";
  EXPECT_LT((*model)->Encode(words).size(), words.size());
}

TEST_F(TrainTokenizerTest, DrawsTheSameCaptionsEachTime) {
  const auto all = Train();
  training_.most_captions = 500;
  const auto some = Train();
  ASSERT_TRUE(some.ok()) << some.status();
  EXPECT_EQ(some->captions, 800u);
  EXPECT_EQ(some->captions_used, 500u);
  EXPECT_NE(some->bytes, all->bytes);
  EXPECT_EQ(Train()->bytes, some->bytes);
}

TEST_F(TrainTokenizerTest, NamesWhatIsWrong) {
  training_.model.vocabulary_size = 50000;
  EXPECT_TRUE(absl::IsInvalidArgument(Train().status())) << "too few captions";
  data_.mutable_train(0)->mutable_captions()->set_field("cls");
  data_.mutable_train(0)->mutable_captions()->set_lines(false);
  EXPECT_EQ(Train().status().message(), "data.train has no caption to learn from");
  data_.mutable_train(0)->set_shards(folder_ + "/nothing-*.tar");
  const absl::Status missing = Train().status();
  EXPECT_TRUE(absl::IsNotFound(missing));
  EXPECT_NE(missing.message().find("data.train[0]: "), std::string::npos) << missing;
}

}  // namespace
}  // namespace navit
