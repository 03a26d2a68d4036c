#include "common/job_spec/parse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/job_spec/documentation.h"
#include "common/job_spec/suggest.h"

namespace navit {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;

v1::JobSpec Parse(absl::string_view text) {
  absl::StatusOr<v1::JobSpec> spec = ParseJobFile(text, "job.yaml");
  EXPECT_TRUE(spec.ok()) << spec.status();
  return spec.value_or(v1::JobSpec());
}

std::string Fault(absl::string_view text) {
  absl::StatusOr<v1::JobSpec> spec = ParseJobFile(text, "job.yaml");
  EXPECT_FALSE(spec.ok()) << text;
  return std::string(spec.status().message());
}

TEST(ParseJobFile, ReadsEveryKindOfValue) {
  const v1::JobSpec spec = Parse(R"(
name: 8e1
priority: -3
seed: 18446744073709551615
data:
  train:
    - shards: /data/{000..003}.tar
      captions: {field: json:alt, if_missing: fail}
preprocess: {mean: [0.1, 1, 0]}
resolution: {distribution: uniform, mu: -1e-1}
evaluation: {trained_pairs: true}
train_for: {examples: 3.2e8}
)");
  EXPECT_EQ(spec.name(), "8e1");
  EXPECT_EQ(spec.priority(), -3);
  EXPECT_EQ(spec.seed(), 18446744073709551615u);
  EXPECT_EQ(spec.data().train(0).captions().field(), "json:alt");
  EXPECT_EQ(spec.data().train(0).captions().if_missing(), v1::CaptionsSpec::FAIL);
  EXPECT_EQ(spec.preprocess().mean(0), 0.1f);
  EXPECT_EQ(spec.resolution().distribution(), v1::ResolutionSpec::DISTRIBUTION_UNIFORM);
  EXPECT_EQ(spec.resolution().mu(), -0.1);
  EXPECT_TRUE(spec.evaluation().trained_pairs());
  EXPECT_EQ(spec.train_for().examples(), 320000000u);
}

TEST(ParseJobFile, ReadsJson) {
  const v1::JobSpec spec =
      Parse("{\"name\": \"a\\u00e9\", \"packing\": {\"sequence_length\": 64},\n\t\"seed\": 7}");
  EXPECT_EQ(spec.name(), "aé");
  EXPECT_EQ(spec.packing().sequence_length(), 64u);
}

TEST(ParseJobFile, TheFieldsTypeDecidesNotTheLooks) {
  EXPECT_EQ(Parse("name: no").name(), "no");
  EXPECT_EQ(Parse("name: 007").name(), "007");
  EXPECT_EQ(Parse("seed: \"7\"").seed(), 7u);
}

TEST(ParseJobFile, NullAndEmptyAreAbsent) {
  const v1::JobSpec spec = Parse("name: x\nseed: null\npacking:\nmodel: ~\n");
  EXPECT_FALSE(spec.has_seed());
  EXPECT_FALSE(spec.has_packing());
}

struct Case {
  const char* text;
  const char* expected;
};

TEST(ParseJobFile, FaultsNameFileLineColumnAndPath) {
  const Case cases[] = {
      {"name: x\npacking:\n  sequence_lenght: 64\n",
       "job.yaml:3:3: packing.sequence_lenght: is no field; did you mean sequence_length?"},
      {"sequence_length: 64\n",
       "job.yaml:1:1: sequence_length: is no field; did you mean packing.sequence_length?"},
      {"frobnicate: 64\n", "job.yaml:1:1: frobnicate: is no field"},
      {"name: x\nname: y\n", "job.yaml:2:1: name: stands twice, first in line 1"},
      {"packing: {sequence_length: long}\n",
       "job.yaml:1:28: packing.sequence_length: must be a whole number, is `long`"},
      {"packing: {sequence_length: 1.5}\n",
       "job.yaml:1:28: packing.sequence_length: must be a whole number, is `1.5`"},
      {"seed: 0x10\n", "job.yaml:1:7: seed: must be a whole number, is `0x10`"},
      {"seed: 010\n", "job.yaml:1:7: seed: must be a whole number without leading zeros, is `010`"},
      {"seed: -1\n",
       "job.yaml:1:7: seed: must be a whole number in [0, 18446744073709551615], is `-1`"},
      {"seed: 18446744073709551616\n",
       "job.yaml:1:7: seed: must be a whole number in [0, 18446744073709551615], is "
       "`18446744073709551616`"},
      {"seed: 1e400\n",
       "job.yaml:1:7: seed: must be a whole number in [0, 18446744073709551615], is `1e400`"},
      {"packing: {sequence_length: 5000000000}\n",
       "job.yaml:1:28: packing.sequence_length: must be a whole number in [0, 4294967295], is "
       "`5000000000`"},
      {"optimizer: {lr: .nan}\n", "job.yaml:1:17: optimizer.lr: must be a number, is `.nan`"},
      {"optimizer: {lr: nan}\n", "job.yaml:1:17: optimizer.lr: must be a number, is `nan`"},
      {"optimizer: {lr: 1e999}\n",
       "job.yaml:1:17: optimizer.lr: must be a finite number, is `1e999`"},
      {"preprocess: {mean: [1e39]}\n",
       "job.yaml:1:21: preprocess.mean[0]: must be a finite number, is `1e39`"},
      {"evaluation: {trained_pairs: yes}\n",
       "job.yaml:1:29: evaluation.trained_pairs: must be true or false, is `yes`"},
      {"resolution: {distribution: gaussian}\n",
       "job.yaml:1:28: resolution.distribution: must be one of uniform, truncated_normal, list, native; is "
       "`gaussian`"},
      {"resolution: {distribution: unspecified}\n",
       "job.yaml:1:28: resolution.distribution: must be one of uniform, truncated_normal, list, native; is "
       "`unspecified`"},
      {"packing: 5\n", "job.yaml:1:10: packing: must be a group of fields, is `5`"},
      {"packing: [5]\n", "job.yaml:1:10: packing: must be a group of fields, is a list"},
      {"data: {train: /data}\n", "job.yaml:1:15: data.train: must be a list of groups, is `/data`"},
      {"data: {train: [~]}\n", "job.yaml:1:16: data.train[0]: must be a group of fields, is empty"},
      {"preprocess: {mean: 0.5}\n",
       "job.yaml:1:20: preprocess.mean: must be a list of numbers, is `0.5`"},
      {"preprocess: {mean: []}\n", "job.yaml:1:20: preprocess.mean: must not be an empty list"},
      {"name: [a]\n", "job.yaml:1:7: name: must be a single value, is a list"},
      {"- name: x\n", "job.yaml:1:1: must be a group of fields, is a list"},
      {"just text\n", "job.yaml:1:1: must be a group of fields, is `just text`"},
      {"? [a]\n: 5\n", "job.yaml:1:3: must have names of fields as keys, has a list"},
      {"seed: &a 5\npriority: *a\n", "job.yaml:2:11: aliases are not allowed; write the value out"},
      {"seed: !!int 5\n", "job.yaml:1:7: tags are not allowed; the field decides the type"},
      {"name: x\n---\nname: y\n", "job.yaml: holds more than one YAML document"},
      {"", "job.yaml: is empty"},
  };
  for (const Case& c : cases) EXPECT_EQ(Fault(c.text), c.expected) << c.text;
}

TEST(ParseJobFile, TextThatIsNoYamlHasAPlaceToo) {
  EXPECT_THAT(Fault("name: x\npacking: {a: ]\n"), HasSubstr("job.yaml:2:"));
  EXPECT_THAT(Fault("name: x\n\tseed: 5\n"), HasSubstr("job.yaml:2:"));
}

TEST(ParseJobFile, NamesSeveralFaultsAtOnceButNotThousands) {
  const std::string fault = Fault("seed: x\npriority: y\n");
  EXPECT_EQ(fault,
            "job.yaml:1:7: seed: must be a whole number, is `x`\n"
            "job.yaml:2:11: priority: must be a whole number, is `y`");
  std::string many;
  for (int i = 0; i < 1000; ++i) absl::StrAppend(&many, "unknown", i, ": 1\n");
  EXPECT_THAT(std::vector<std::string>(absl::StrSplit(Fault(many), '\n')), SizeIs(50));
}

TEST(ParseJobFile, HostileTextsEndInAnError) {
  EXPECT_THAT(Fault("name: " + std::string(100000, '[')), HasSubstr("job.yaml:1:"));
  EXPECT_THAT(Fault("a:" + std::string(40, '{')), HasSubstr("job.yaml:1:"));
  std::string nested;
  for (int i = 0; i < 2000; ++i) absl::StrAppend(&nested, std::string(i, ' '), "a:\n");
  EXPECT_THAT(Fault(nested), AnyOf(HasSubstr("nested deeper"), HasSubstr("longer than")));
  std::string long_list = "preprocess: {mean: [0";
  for (int i = 0; i < 100000; ++i) long_list += ",0";
  EXPECT_THAT(Fault(long_list + "]}"), HasSubstr("more than 50000 values"));
  EXPECT_THAT(Fault(std::string(2 << 20, ' ')), HasSubstr("longer than 1048576 bytes"));
  EXPECT_THAT(Fault("a: &a [x, x]\nb: &b [*a, *a]\n"), HasSubstr("aliases"));
  EXPECT_THAT(Fault(std::string(900, 'k') + ": 1\n"), HasSubstr("kkk…`: is no field"));
  EXPECT_THAT(Fault("seed: " + std::string(10000, '9')), SizeIs(::testing::Lt(200)));
  EXPECT_FALSE(ParseJobFile(absl::string_view("name: \0x\xff\xfe", 10), "job.yaml").ok());
}

// Damaged files: any answer but a crash or a hang.
TEST(ParseJobFile, SurvivesRandomDamage) {
  const std::string whole = InitText();
  std::mt19937 random(17);
  for (int round = 0; round < 300; ++round) {
    std::string text = whole;
    for (int i = 0; i < 8; ++i) {
      const size_t at = random() % text.size();
      switch (random() % 3) {
        case 0:
          text[at] = static_cast<char>(random());
          break;
        case 1:
          text.erase(at, random() % 40);
          break;
        default:
          text.insert(at, 1 + random() % 3, "[]{}:-#&*!|>'\"%@`,? \n\t"[random() % 22]);
      }
    }
    ParseJobFile(text, "job.yaml").status().IgnoreError();
  }
}

TEST(SourceLocations, FindTheValueOrTheNearestGroup) {
  SourceLocations locations;
  ASSERT_TRUE(ParseJobFile("name: x\ndata:\n  train:\n    - shards: /a\n", "f", &locations).ok());
  EXPECT_EQ(ViolationText("f", locations, {"data.train[0].shards", "m"}),
            "f:4:15: data.train[0].shards: m");
  EXPECT_EQ(ViolationText("f", locations, {"data.train[0].captions.field", "m"}),
            "f:4:7: data.train[0].captions.field: m");
  EXPECT_EQ(ViolationText("f", locations, {"packing.sequence_length", "m"}),
            "f:1:1: packing.sequence_length: m");
  EXPECT_EQ(ViolationText("f", SourceLocations(), {"seed", "m"}), "f: seed: m");
}

std::string SetFault(absl::string_view assignment) {
  v1::JobSpec spec;
  return std::string(SetField(assignment, &spec).message());
}

TEST(SetField, ReachesEveryKindOfField) {
  v1::JobSpec spec;
  for (const char* assignment :
       {"seed=7", "data.train.0.shards=/a=b,c: {0..1}.tar", "data.train[0].captions.field=cls",
        "data.train.1.shards=/b", "preprocess.mean=[0.1, 0.2, 0.3]",
        "packing={sequence_length: 64}", "resolution.distribution=uniform"}) {
    EXPECT_TRUE(SetField(assignment, &spec).ok()) << assignment;
  }
  EXPECT_EQ(spec.seed(), 7u);
  ASSERT_EQ(spec.data().train_size(), 2);
  EXPECT_EQ(spec.data().train(0).shards(), "/a=b,c: {0..1}.tar");
  EXPECT_EQ(spec.data().train(0).captions().field(), "cls");
  EXPECT_EQ(spec.preprocess().mean_size(), 3);
  EXPECT_EQ(spec.packing().sequence_length(), 64u);
  ASSERT_TRUE(SetField("seed=", &spec).ok());
  EXPECT_FALSE(spec.has_seed());
  ASSERT_TRUE(SetField("preprocess.mean=[1, 1, 1]", &spec).ok());
  EXPECT_EQ(spec.preprocess().mean_size(), 3);
}

TEST(SetField, NamesTheFault) {
  EXPECT_EQ(SetFault("seed"), "seed: must be written FIELD=VALUE");
  EXPECT_EQ(SetFault("packing.sequence_lenght=1"),
            "packing.sequence_lenght: is no field; did you mean sequence_length?");
  EXPECT_EQ(SetFault("seed=x"), "seed: must be a whole number, is `x`");
  EXPECT_EQ(SetFault("seed.x=1"), "seed: has no field `x`");
  EXPECT_EQ(SetFault("data.train.1.shards=/a"),
            "data.train: must be followed by the index of an entry, 0 to 0, not by `1`");
  EXPECT_EQ(SetFault("data.train.shards=/a"),
            "data.train: must be followed by the index of an entry, 0 to 0, not by `shards`");
  EXPECT_EQ(SetFault("data.train.0=/a"), "data.train[0]: is a group; name one of its fields");
}

TEST(EditDistance, CountsEdits) {
  EXPECT_EQ(EditDistance("", "abc"), 3);
  EXPECT_EQ(EditDistance("lenght", "length"), 1);
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3);
}

}  // namespace
}  // namespace navit
