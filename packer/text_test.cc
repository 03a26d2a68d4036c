#include "packer/text.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "packer/utf8.h"

namespace navit {
namespace {

std::vector<uint32_t> Tokens(absl::string_view caption, uint32_t max_tokens) {
  std::string ids;
  const uint32_t count = AppendByteTokens(caption, max_tokens, &ids);
  EXPECT_EQ(ids.size(), 2 * count);
  std::vector<uint32_t> tokens;
  for (size_t i = 0; i < ids.size(); i += 2) {
    tokens.push_back(static_cast<uint8_t>(ids[i]) | static_cast<uint8_t>(ids[i + 1]) << 8);
  }
  return tokens;
}

TEST(ByteTokens, BeginBytesEnd) {
  EXPECT_EQ(Tokens("ab", 64), (std::vector<uint32_t>{0, 'a' + 2, 'b' + 2, 1}));
  EXPECT_EQ(Tokens("\xFF", 64), (std::vector<uint32_t>{0, 257, 1}));
  EXPECT_EQ(Tokens("", 64), (std::vector<uint32_t>{0, 1}));
}

TEST(ByteTokens, TruncationKeepsBeginAndEndAndWholeCharacters) {
  EXPECT_EQ(Tokens("abcdef", 4), (std::vector<uint32_t>{0, 'a' + 2, 'b' + 2, 1}));
  EXPECT_EQ(Tokens("abcdef", 2), (std::vector<uint32_t>{0, 1}));
  EXPECT_EQ(Tokens("a\xC3\xA9", 4), (std::vector<uint32_t>{0, 'a' + 2, 1})) << "é does not fit";
  EXPECT_EQ(Tokens("a\xC3\xA9", 5).size(), 5u);
}

TEST(CaptionField, Parses) {
  EXPECT_EQ(ParseCaptionField("txt")->member, CaptionField::kTxt);
  EXPECT_EQ(ParseCaptionField("cls")->member, CaptionField::kCls);
  EXPECT_EQ(ParseCaptionField("json:alt")->name, "alt");
  for (const char* bad : {"", "json", "json:", "TXT", "caption"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseCaptionField(bad).status())) << bad;
  }
}

TEST(ExtractCaption, TrimsAndRefusesEmptyOnes) {
  const CaptionField txt;
  EXPECT_EQ(ExtractCaption(txt, " \n a cat\t\r\n"), "a cat");
  EXPECT_EQ(ExtractCaption(txt, " \n "), std::nullopt);
  EXPECT_EQ(ExtractCaption(txt, ""), std::nullopt);
  EXPECT_EQ(ExtractCaption(txt, "\xFF\xFE"), std::nullopt);
  const CaptionField json{CaptionField::kJson, "alt"};
  EXPECT_EQ(ExtractCaption(json, R"({"alt": " a cat "})"), "a cat");
  EXPECT_EQ(ExtractCaption(json, R"({"alt": ""})"), std::nullopt);
}

TEST(CaptionHash, EqualCaptionsEqualHashes) {
  EXPECT_EQ(CaptionHash("a"), CaptionHash("a"));
  EXPECT_NE(CaptionHash("a"), CaptionHash("b"));
}

TEST(JsonStringField, FindsStrings) {
  EXPECT_EQ(JsonStringField(R"({"a":"x"})", "a"), "x");
  EXPECT_EQ(JsonStringField(R"( { "b" : [1, {"a":"no"}, null], "a" : "x" } )", "a"), "x");
  EXPECT_EQ(JsonStringField(R"({"a":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"})", "a"),
            "\"\\/\b\f\n\r\t\xC3\xA9\xF0\x9F\x98\x80");
  EXPECT_EQ(JsonStringField(R"({"n":-1.5e+3,"m":0,"t":true,"f":false,"z":null,"a":"é"})", "a"),
            "é");
  EXPECT_EQ(JsonStringField(R"({"a":{"a":"inner"},"b":"x"})", "b"), "x");
}

TEST(JsonStringField, RefusesAllElse) {
  for (const char* bad : {"",
                          "null",
                          "[]",
                          "\"a\"",
                          "{",
                          "{}",
                          R"({"a":1})",
                          R"({"a":null})",
                          R"({"a":["x"]})",
                          R"({"a":"x")",
                          R"({"a":"x"}x)",
                          R"({"a":"x",})",
                          R"({"a" "x"})",
                          R"({a:"x"})",
                          R"({"a":"\x"})",
                          R"({"a":"\ud800"})",
                          R"({"a":"\udc00"})",
                          R"({"a":"\u12"})",
                          "{\"a\":\"\n\"}",
                          "{\"a\":\"\xFF\"}",
                          R"({"a":"x","a":"y"})",
                          R"({"b":01,"a":"x"})",
                          R"({"b":1.,"a":"x"})",
                          R"({"b":tru,"a":"x"})",
                          R"({"b":[1,],"a":"x"})"}) {
    EXPECT_EQ(JsonStringField(bad, "a"), std::nullopt) << bad;
  }
  const std::string deep =
      "{\"b\":" + std::string(100000, '[') + std::string(100000, ']') + ",\"a\":\"x\"}";
  EXPECT_EQ(JsonStringField(deep, "a"), std::nullopt);
}

TEST(Utf8, EscapesWhatIsInvalid) {
  EXPECT_EQ(EscapeInvalidUtf8("a\xC3\xA9\xFF"), "a\xC3\xA9\\xff");
  EXPECT_FALSE(IsValidUtf8("\xC0\x80"));
  EXPECT_FALSE(IsValidUtf8("\xED\xA0\x80"));
  EXPECT_FALSE(IsValidUtf8("\xF4\x90\x80\x80"));
  EXPECT_FALSE(IsValidUtf8("\xE2\x82"));
  EXPECT_TRUE(IsValidUtf8("\xF0\x9F\x98\x80"));
}

}  // namespace
}  // namespace navit
