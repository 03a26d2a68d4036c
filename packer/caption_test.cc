#include "packer/caption.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "packer/limits.h"
#include "packer/utf8.h"

namespace navit {
namespace {

v1::CaptionsSpec Spec(const std::string& field, bool lines = false) {
  v1::CaptionsSpec spec;
  spec.set_field(field);
  spec.set_lines(lines);
  return spec;
}

std::vector<std::string> Captions(const v1::CaptionsSpec& spec, absl::string_view member) {
  const absl::StatusOr<CaptionField> field = ParseCaptionField(spec);
  EXPECT_TRUE(field.ok()) << field.status();
  return ExtractCaptions(*field, member);
}

using Texts = std::vector<std::string>;

TEST(CaptionField, Parses) {
  EXPECT_EQ(ParseCaptionField(Spec("txt"))->member, CaptionField::kTxt);
  EXPECT_EQ(ParseCaptionField(Spec("cls"))->member, CaptionField::kCls);
  EXPECT_EQ(ParseCaptionField(Spec("json:alt"))->path, Texts{"alt"});
  EXPECT_EQ(ParseCaptionField(Spec("json:a.b c.d"))->path, (Texts{"a", "b c", "d"}));
  for (const char* bad : {"", "json", "json:", "json:a.", "json:.a", "json:a..b", "TXT"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseCaptionField(Spec(bad)).status())) << bad;
  }
  EXPECT_TRUE(absl::IsInvalidArgument(ParseCaptionField(Spec("json:a", true)).status()));
}

TEST(ExtractCaptions, TrimsAndPassesOverEmptyOnes) {
  EXPECT_EQ(Captions(Spec("txt"), " \n a cat\t\r\n"), Texts{"a cat"});
  EXPECT_EQ(Captions(Spec("txt"), "a cat\nand more"), Texts{"a cat\nand more"});
  EXPECT_EQ(Captions(Spec("txt"), " \n "), Texts{});
  EXPECT_EQ(Captions(Spec("txt"), ""), Texts{});
  EXPECT_EQ(Captions(Spec("txt"), "\xFF\xFE"), Texts{});
  EXPECT_EQ(Captions(Spec("json:alt"), R"({"alt": " a cat "})"), Texts{"a cat"});
  EXPECT_EQ(Captions(Spec("json:alt"), R"({"alt": ["", "a", 1, " b "]})"), (Texts{"a", "b"}));
}

TEST(ExtractCaptions, EveryLineOfATextIsOneWhereTheJobSaysSo) {
  EXPECT_EQ(Captions(Spec("txt", true), "a cat\r\n\n  a dog \n"), (Texts{"a cat", "a dog"}));
  EXPECT_EQ(Captions(Spec("txt", true), "\n \n"), Texts{});
  EXPECT_EQ(Captions(Spec("txt", true), std::string(5000, 'a') + "\nb").size(), 2u);
}

TEST(ExtractCaptions, HasABound) {
  std::string lines;
  for (uint32_t i = 0; i < kMaxCaptions + 10; ++i) lines += "x\n";
  EXPECT_EQ(Captions(Spec("txt", true), lines).size(), kMaxCaptions);
  EXPECT_EQ(Captions(Spec("txt"), std::string(kMaxTextBytes + 1, 'a')), Texts{});
}

TEST(CaptionHash, EqualCaptionsEqualHashes) {
  EXPECT_EQ(CaptionHash("a"), CaptionHash("a"));
  EXPECT_NE(CaptionHash("a"), CaptionHash("b"));
}

std::optional<Texts> Strings(absl::string_view json, const Texts& path) {
  return JsonStrings(json, path);
}

TEST(JsonStrings, FindsStrings) {
  EXPECT_EQ(Strings(R"({"a":"x"})", {"a"}), Texts{"x"});
  EXPECT_EQ(Strings(R"( { "b" : [1, {"a":"no"}, null], "a" : "x" } )", {"a"}), Texts{"x"});
  EXPECT_EQ(Strings(R"({"a":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"})", {"a"}),
            Texts{"\"\\/\b\f\n\r\t\xC3\xA9\xF0\x9F\x98\x80"});
  EXPECT_EQ(Strings(R"({"n":-1.5e+3,"m":0,"t":true,"f":false,"z":null,"a":"é"})", {"a"}),
            Texts{"é"});
  EXPECT_EQ(Strings(R"({"a":{"a":"inner"},"b":"x"})", {"b"}), Texts{"x"});
}

TEST(JsonStrings, RefusesWhatIsMalformed) {
  for (const char* bad : {"",
                          "null",
                          "[]",
                          "\"a\"",
                          "{",
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
    EXPECT_EQ(Strings(bad, {"a"}), std::nullopt) << bad;
  }
  const std::string deep =
      "{\"b\":" + std::string(100000, '[') + std::string(100000, ']') + ",\"a\":\"x\"}";
  EXPECT_EQ(Strings(deep, {"a"}), std::nullopt);
}

TEST(JsonStrings, FollowsPathsThroughObjectsAndLists) {
  const char* json = R"({"a":{"b":"1","c":"no"},"d":["x",["y"],{"e":"z"}],
                         "captions":[{"text":"p","id":1},{"text":["q","r"]},{"other":"s"},"t"]})";
  EXPECT_EQ(Strings(json, {"a", "b"}), Texts{"1"});
  EXPECT_EQ(Strings(json, {"d"}), (Texts{"x", "y"}));
  EXPECT_EQ(Strings(json, {"d", "e"}), Texts{"z"});
  EXPECT_EQ(Strings(json, {"captions", "text"}), (Texts{"p", "q", "r"}));
  for (const Texts& path : {Texts{"b"}, {"a"}, {"a", "b", "c"}, {"x"}, {"captions", "id"}}) {
    EXPECT_EQ(Strings(json, path), Texts{});
  }
}

TEST(JsonScalars, FindsNumbersToo) {
  const char* json = R"({"a":3,"b":[-1.5e+3,"4",true,null,{"c":0}]})";
  EXPECT_EQ(JsonScalars(json, Texts{"a"}), Texts{"3"});
  EXPECT_EQ(JsonScalars(json, Texts{"b"}), (Texts{"-1.5e+3", "4"}));
  EXPECT_EQ(JsonScalars(json, Texts{"b", "c"}), Texts{"0"});
  EXPECT_EQ(JsonScalars(R"({"a":03})", Texts{"a"}), std::nullopt);
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
