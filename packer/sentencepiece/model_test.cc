// In a process that links protobuf, as every program of ours does.
#include "packer/sentencepiece/model.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "proto/job_spec.pb.h"

namespace navit {
namespace {

std::vector<std::string> Captions() {
  const std::vector<std::string> words = {
      "cat",    "garden",   "ship",   "bird",   "red",   "table",  "tree",   "house",
      "old",    "green",    "window", "river",  "stone", "bridge", "horse",  "summer",
      "winter", "mountain", "little", "yellow", "train", "light",  "candle", "kitchen"};
  std::vector<std::string> captions;
  for (size_t i = 0; i < 400; ++i) {
    captions.push_back(absl::StrCat("a ", words[i * 7 % 24], " ", words[i * i % 23], " and the ",
                                    words[i * 5 % 19], " by a ", words[i * 11 % 21]));
  }
  return captions;
}

absl::StatusOr<std::string> Train(uint32_t vocabulary) {
  const std::vector<std::string> captions = Captions();
  size_t next = 0;
  return TrainSentencePieceModel({.vocabulary_size = vocabulary},
                                 [&]() -> std::optional<absl::string_view> {
                                   if (next == captions.size()) return std::nullopt;
                                   return captions[next++];
                                 });
}

class SentencePieceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!SentencePieceAvailable()) GTEST_SKIP() << "not in an AddressSanitizer build";
    // protobuf works before and after the library with its own copy is there.
    v1::JobSpec spec;
    spec.mutable_model()->mutable_text()->set_tokenizer("bytes");
    ASSERT_FALSE(spec.SerializeAsString().empty());
    const auto bytes = Train(305);
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    bytes_ = *bytes;
    auto model = SentencePieceModel::Load(bytes_);
    ASSERT_TRUE(model.ok()) << model.status();
    model_ = *std::move(model);
    ASSERT_TRUE(spec.ParseFromString(spec.SerializeAsString()));
  }

  std::string bytes_;
  std::unique_ptr<SentencePieceModel> model_;
};

TEST_F(SentencePieceTest, TrainedModelHasTheVocabularyAskedForAndEqualBytesEachTime) {
  EXPECT_EQ(model_->pieces(), 305u);
  EXPECT_GE(model_->begin(), 0);
  EXPECT_GE(model_->end(), 0);
  EXPECT_NE(model_->begin(), model_->end());
  EXPECT_EQ(*Train(305), bytes_);
}

TEST_F(SentencePieceTest, FrequentWordsTakeFewerTokensThanBytes) {
  for (const std::string& caption : Captions()) {
    const std::vector<int32_t> ids = model_->Encode(caption);
    EXPECT_GT(ids.size(), 0u);
    EXPECT_LT(ids.size(), caption.size()) << caption;
    for (const int32_t id : ids) {
      EXPECT_GE(id, 0);
      EXPECT_LT(id, 305);
      EXPECT_NE(id, model_->begin());
      EXPECT_NE(id, model_->end());
    }
  }
}

TEST_F(SentencePieceTest, CharactersNeverSeenAreSpelledInBytes) {
  const std::vector<int32_t> one = model_->Encode("\xE2\x98\x83");  // three bytes, one character
  const std::vector<int32_t> other = model_->Encode("\xE2\x98\x82");
  EXPECT_GE(one.size(), 3u);
  EXPECT_EQ(one.size(), other.size());
  EXPECT_NE(one, other) << "no unknown token stands for both";
}

TEST_F(SentencePieceTest, WhatNormalisesToNothingHasNoIds) {
  EXPECT_TRUE(model_->Encode("").empty());
  EXPECT_TRUE(model_->Encode("  \t ").empty());
}

TEST_F(SentencePieceTest, ThreadsShareAModel) {
  const std::vector<std::string> captions = Captions();
  std::vector<std::vector<int32_t>> wanted;
  for (const std::string& caption : captions) wanted.push_back(model_->Encode(caption));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (size_t i = 0; i < captions.size(); ++i) {
        EXPECT_EQ(model_->Encode(captions[i]), wanted[i]);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(SentencePieceTest, RefusesWhatIsNoModel) {
  EXPECT_TRUE(absl::IsInvalidArgument(SentencePieceModel::Load("no model").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(SentencePieceModel::Load("").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      SentencePieceModel::Load(bytes_.substr(0, bytes_.size() / 2)).status()));
}

TEST_F(SentencePieceTest, SaysWhenThereAreTooFewCaptionsForTheVocabulary) {
  const auto model = Train(50000);
  ASSERT_TRUE(absl::IsInvalidArgument(model.status())) << model.status();
  EXPECT_NE(model.status().message().find("ocabulary size"), std::string::npos) << model.status();
}

}  // namespace
}  // namespace navit
