#include "packer/tokenizer.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/byte_tokenizer.h"
#include "common/job_spec/pin_tokenizer.h"
#include "gtest/gtest.h"
#include "packer/sentencepiece/model.h"
#include "packer/testing/job.h"

namespace navit {
namespace {

std::vector<uint32_t> Ids(const Tokenizer& tokenizer, absl::string_view caption,
                          uint32_t max_tokens) {
  std::string ids;
  const uint32_t count = tokenizer.Append(caption, max_tokens, &ids);
  EXPECT_EQ(ids.size(), 2 * count);
  std::vector<uint32_t> tokens;
  for (size_t i = 0; i < ids.size(); i += 2) {
    tokens.push_back(static_cast<uint8_t>(ids[i]) | static_cast<uint8_t>(ids[i + 1]) << 8);
  }
  return tokens;
}

TEST(ByteTokenizer, BeginBytesEnd) {
  EXPECT_EQ(Ids(*MakeByteTokenizer(), "ab", 64), (std::vector<uint32_t>{0, 'a' + 2, 'b' + 2, 1}));
  EXPECT_EQ(Ids(*MakeByteTokenizer(), "\xFF", 64), (std::vector<uint32_t>{0, 257, 1}));
  EXPECT_EQ(Ids(*MakeByteTokenizer(), "", 64), (std::vector<uint32_t>{0, 1}));
}

TEST(ByteTokenizer, TruncationKeepsBeginAndEndAndWholeCharacters) {
  EXPECT_EQ(Ids(*MakeByteTokenizer(), "abcdef", 4),
            (std::vector<uint32_t>{0, 'a' + 2, 'b' + 2, 1}));
  EXPECT_EQ(Ids(*MakeByteTokenizer(), "a\xC3\xA9", 4), (std::vector<uint32_t>{0, 'a' + 2, 1}))
      << "é does not fit";
  EXPECT_EQ(Ids(*MakeByteTokenizer(), "a\xC3\xA9", 5).size(), 5u);
}

class SentencePieceTokenizerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!SentencePieceAvailable()) GTEST_SKIP() << "not in an AddressSanitizer build";
    spec_ = testing::MakeSpec();
    path_ = testing::NewFolder("tokenizer") + "/captions.model";
    WriteModel(300);
    spec_.mutable_model()->mutable_text()->set_tokenizer(path_);
    spec_.mutable_model()->mutable_text()->clear_vocabulary_size();
  }
  void WriteModel(uint32_t vocabulary) {
    uint32_t i = 0;
    std::string text;
    const auto model = TrainSentencePieceModel(
        {.vocabulary_size = vocabulary}, [&]() -> std::optional<absl::string_view> {
          if (++i > 400) return std::nullopt;
          text = absl::StrCat("picture number ", i * i, " of the old garden ", i % 7);
          return text;
        });
    ASSERT_TRUE(model.ok()) << model.status();
    testing::WriteBytes(path_, *model);
  }
  const v1::TextTowerSpec& text() const { return spec_.model().text(); }

  v1::JobSpec spec_;
  std::string path_;
};

TEST_F(SentencePieceTokenizerTest, BeginPiecesEndAndTruncation) {
  ASSERT_TRUE(PinTokenizer(testing::LocalStore().get(), &spec_).empty());
  EXPECT_EQ(text().vocabulary_size(), 300u);
  EXPECT_EQ(text().tokenizer_hash().size(), 32u);
  const auto tokenizer = OpenTokenizer(testing::LocalStore().get(), text());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  EXPECT_EQ((*tokenizer)->vocabulary_size(), 300u);
  const std::vector<uint32_t> whole = Ids(**tokenizer, "picture number 5 of the old garden", 64);
  ASSERT_GT(whole.size(), 8u);
  for (const uint32_t id : whole) EXPECT_LT(id, 300u);
  // The same begin and end, and the first pieces, whatever the bound is.
  std::vector<uint32_t> cut = Ids(**tokenizer, "picture number 5 of the old garden", 8);
  ASSERT_EQ(cut.size(), 8u);
  EXPECT_EQ(cut.back(), whole.back());
  cut.pop_back();
  EXPECT_EQ(cut, std::vector<uint32_t>(whole.begin(), whole.begin() + 7));
  EXPECT_EQ(Ids(**tokenizer, "other words", 64).front(), whole.front());
  EXPECT_TRUE(Ids(**tokenizer, " ", 64).empty()) << "nothing is left of it";
}

TEST_F(SentencePieceTokenizerTest, AChangedFileIsANamedError) {
  // A model that nothing has in use; one in use would not be read again.
  WriteModel(295);
  ASSERT_TRUE(PinTokenizer(testing::LocalStore().get(), &spec_).empty());
  WriteModel(290);
  const auto tokenizer = OpenTokenizer(testing::LocalStore().get(), text());
  ASSERT_TRUE(absl::IsFailedPrecondition(tokenizer.status())) << tokenizer.status();
  EXPECT_NE(tokenizer.status().message().find(path_ + " changed under the job"), std::string::npos)
      << tokenizer.status();
  // Submitting the resolved spec again finds it too.
  const std::vector<FieldViolation> violations = PinTokenizer(testing::LocalStore().get(), &spec_);
  ASSERT_EQ(violations.size(), 1u);
  EXPECT_EQ(violations[0].path, "model.text.tokenizer_hash");
}

TEST_F(SentencePieceTokenizerTest, OnlyThatModelsVocabularyIsTaken) {
  spec_.mutable_model()->mutable_text()->set_vocabulary_size(299);
  const std::vector<FieldViolation> violations = PinTokenizer(testing::LocalStore().get(), &spec_);
  ASSERT_EQ(violations.size(), 1u);
  EXPECT_EQ(violations[0].path, "model.text.vocabulary_size");
}

TEST(PinTokenizer, NamesAFileThatIsNoModel) {
  v1::JobSpec spec = testing::MakeSpec();
  EXPECT_EQ(spec.model().text().vocabulary_size(), kByteVocabularySize);
  EXPECT_TRUE(PinTokenizer(testing::LocalStore().get(), &spec).empty());
  v1::TextTowerSpec* text = spec.mutable_model()->mutable_text();
  text->clear_vocabulary_size();
  const std::string path = testing::NewFolder("tokenizer") + "/a.model";
  text->set_tokenizer(path);
  ASSERT_EQ(PinTokenizer(testing::LocalStore().get(), &spec).size(), 1u);
  EXPECT_EQ(PinTokenizer(testing::LocalStore().get(), &spec)[0].path, "model.text.tokenizer");
  for (const char* bytes : {"", "no model", "\x0a\x7f", "\x08\x01"}) {
    testing::WriteBytes(path, bytes);
    const std::vector<FieldViolation> violations = PinTokenizer(testing::LocalStore().get(), &spec);
    ASSERT_EQ(violations.size(), 1u) << bytes;
    EXPECT_EQ(violations[0].message, path + ": not a SentencePiece model");
  }
}

}  // namespace
}  // namespace navit
