#include "common/braces.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace navit {
namespace {

using Names = std::vector<std::string>;

struct Case {
  const char* name;
  std::string pattern;
  Names names;
};

class BracesTest : public ::testing::TestWithParam<Case> {};

// As WebDataset's braceexpand 0.1.7 has it, but for backslashes before other characters, which it
// drops.
TEST_P(BracesTest, NamesInTheOrderOfTheGroups) {
  const absl::StatusOr<Names> names = ExpandBraces(GetParam().pattern);
  ASSERT_TRUE(names.ok()) << names.status();
  EXPECT_EQ(*names, GetParam().names);
  EXPECT_EQ(*CountBraces(GetParam().pattern), names->size());
}

INSTANTIATE_TEST_SUITE_P(
    All, BracesTest,
    ::testing::ValuesIn(std::vector<Case>{
        {"NoBraces", "a-*.tar", {"a-*.tar"}},
        {"Nothing", "", {""}},
        {"List", "x{a,b,a}y", {"xay", "xby", "xay"}},
        {"EmptyChoices", "x{,1,}", {"x", "x1", "x"}},
        {"Numbers", "{8..11}", {"8", "9", "10", "11"}},
        {"OneNumber", "{7..7}", {"7"}},
        {"PaddedNumbers", "{00008..00010}.tar", {"00008.tar", "00009.tar", "00010.tar"}},
        {"PaddedToTheWiderEnd", "{08..100..46}", {"008", "054", "100"}},
        {"ZeroItselfIsNotPadded", "{0..10..5}", {"0", "5", "10"}},
        {"NegativeNumbers", "{-1..1}", {"-1", "0", "1"}},
        {"NegativePaddedNumbers", "{-05..5..5}", {"-05", "000", "005"}},
        {"Backwards", "{3..1}", {"3", "2", "1"}},
        {"Steps", "{0..10..4}", {"0", "4", "8"}},
        {"StepsBackwards", "{10..0..4}", {"10", "6", "2"}},
        {"TheSignOfAStepSaysNothing", "{0..4..-2}", {"0", "2", "4"}},
        {"Letters", "{a..e}", {"a", "b", "c", "d", "e"}},
        {"LettersInSteps", "{e..a..2}", {"e", "c", "a"}},
        {"LettersOfBothCases", "{Y..b}", {"Y", "Z", "a", "b"}},
        {"SeveralGroups", "{a,b}-{0..1}", {"a-0", "a-1", "b-0", "b-1"}},
        {"GroupsSideBySide", "{a,b}{c,d}", {"ac", "ad", "bc", "bd"}},
        {"Nested", "{a,b{1..3}}", {"a", "b1", "b2", "b3"}},
        {"NestedTwice", "{x{a,b{1,2}},y}.tar", {"xa.tar", "xb1.tar", "xb2.tar", "y.tar"}},
        {"ARangeInAListIsText", "{1..3,5}", {"1..3", "5"}},
        {"Escaped", R"(\{a\,b\}{c\,d,e\}})", {"{a,b}c,d", "{a,b}e}"}},
        {"OtherBackslashesStay", R"(a\*{\[,\\}.tar)", {R"(a\*\[.tar)", R"(a\*\\.tar)"}},
        {"NeitherListNorRange", "{}{a}{{b}}", {"{}{a}{{b}}"}},
        {"GroupInLiteralBraces", "{a{1,2}b}", {"{a1b}", "{a2b}"}},
        {"CommaOutside", "a,b", {"a,b"}},
        {"Url",
         "s3://bucket/{train,extra}/{0998..1000}.tar",
         {"s3://bucket/train/0998.tar", "s3://bucket/train/0999.tar", "s3://bucket/train/1000.tar",
          "s3://bucket/extra/0998.tar", "s3://bucket/extra/0999.tar",
          "s3://bucket/extra/1000.tar"}},
    }),
    [](const ::testing::TestParamInfo<Case>& info) { return info.param.name; });

std::string Error(const std::string& pattern) {
  const absl::Status status = ExpandBraces(pattern).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << pattern << ": " << status;
  EXPECT_EQ(CountBraces(pattern).status(), status);
  return std::string(status.message());
}

TEST(BracesErrors, SayWhatIsWrongAndWhere) {
  EXPECT_EQ(Error("x{1,2"), "x{1,2: character 2: this { is not closed");
  EXPECT_EQ(Error("{a,{b}"), "{a,{b}: character 1: this { is not closed");
  EXPECT_EQ(Error("a}b"), "a}b: character 2: this } closes nothing");
  EXPECT_EQ(Error("{a,b}}"), "{a,b}}: character 6: this } closes nothing");
  EXPECT_EQ(Error(R"({a,b\})"), R"({a,b\}: character 1: this { is not closed)");
  for (const char* range : {"1..b", "a..5", "1..", "..3", "1..5..0", "1..5..x", "1..5..2..2",
                            "aa..b", "1.5..2", "0..9999999999999999999"}) {
    EXPECT_EQ(Error(absl::StrCat("x{", range, "}")),
              absl::StrCat("x{", range, "}: character 2: {", range,
                           "} is no range of numbers or letters"));
  }
}

TEST(BracesErrors, ALimitOnNamesBytesAndDepth) {
  EXPECT_EQ(*CountBraces("{0..999}{0..999}"), kMostBraceNames);
  for (const char* many : {"{0..1000000}", "{0..999}{0..999}{a,b}", "{{0..999999},x}",
                           "{0..999999999999999999}{0..999999999999999999}"}) {
    EXPECT_EQ(Error(many), absl::StrCat(many, ": its braces make more than 1000000 names"));
  }
  std::string doubled;
  for (int i = 0; i < 1000; ++i) doubled += "{,}";
  EXPECT_NE(Error(doubled).find("more than 1000000 names"), std::string::npos);
  EXPECT_NE(Error("{0..999999}" + std::string(300, 'x')).find("bytes"), std::string::npos);
  const auto nested = [](int depth) {
    std::string pattern = "a";
    for (int i = 0; i < depth; ++i) pattern = absl::StrCat("{", pattern, ",b}");
    return pattern;
  };
  EXPECT_EQ(*CountBraces(nested(kDeepestBraces)), kDeepestBraces + 1u);
  EXPECT_NE(Error(nested(kDeepestBraces + 1)).find("braces more than 32 deep"), std::string::npos);
  EXPECT_NE(Error(std::string(1 << 20, '{')).find("deep"), std::string::npos);
}

}  // namespace
}  // namespace navit
