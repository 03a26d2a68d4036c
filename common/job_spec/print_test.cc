#include "common/job_spec/print.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "common/job_spec/parse.h"
#include "common/job_spec/resolve.h"
#include "google/protobuf/util/message_differencer.h"
#include "proto/data.pb.h"
#include "proto/pack.pb.h"

namespace navit {
namespace {

v1::JobSpec SomeSpec() {
  v1::JobSpec spec;
  spec.set_name("null");
  spec.set_seed(std::numeric_limits<uint64_t>::max());
  v1::Dataset* train = spec.mutable_data()->add_train();
  train->set_shards("/data/{000..003}.tar # \"all\" of\\them\t£");
  train->mutable_captions()->set_field("json:alt: x");
  spec.mutable_preprocess()->add_mean(0.1f);
  spec.mutable_optimizer()->set_lr(0.1 + 0.2);
  spec.mutable_optimizer()->set_eps(1e-300);
  spec.mutable_token_drop()->set_kind(v1::TokenDropSpec::NONE);
  spec.mutable_train_for()->set_examples(uint64_t{1} << 60);
  spec.mutable_packing();
  return spec;
}

TEST(Print, SpecsParseBackToTheSame) {
  v1::JobSpec bare = SomeSpec();
  v1::JobSpec resolved = bare;
  ResolveJobSpec(&resolved);
  for (const v1::JobSpec& spec : {bare, resolved}) {
    for (const std::string& text : {ToJson(spec), ToYaml(spec)}) {
      absl::StatusOr<v1::JobSpec> parsed = ParseJobFile(text, "printed");
      ASSERT_TRUE(parsed.ok()) << parsed.status() << "\n" << text;
      EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(*parsed, spec)) << text;
    }
  }
}

TEST(Print, SpecAsYaml) {
  v1::JobSpec spec;
  spec.set_name("a");
  spec.set_priority(0);
  spec.mutable_data()->add_train()->set_shards("/data/*.tar");
  spec.mutable_data()->mutable_train(0)->mutable_captions()->set_if_missing(v1::CaptionsSpec::SKIP);
  spec.mutable_optimizer()->add_betas(0.9);
  spec.mutable_optimizer()->add_betas(0.95);
  EXPECT_EQ(ToYaml(spec),
            "name: a\n"
            "priority: 0\n"
            "data:\n"
            "  train:\n"
            "    - shards: \"/data/*.tar\"\n"
            "      captions:\n"
            "        if_missing: skip\n"
            "optimizer:\n"
            "  betas: [0.9, 0.95]\n");
}

TEST(Print, OtherMessagesShowEveryFieldSoThatProgramsFindIt) {
  v1::Hole hole;
  hole.set_sample(uint64_t{1} << 60);
  EXPECT_EQ(ToJson(hole), "{\n  \"sample\": 1152921504606846976,\n  \"reason\": \"none\"\n}\n");
  EXPECT_EQ(ToYaml(hole), "sample: 1152921504606846976\nreason: none\n");
  v1::PackHeader header;
  EXPECT_NE(ToJson(header).find("\"holes\": []"), std::string::npos);
  header.add_holes();
  EXPECT_NE(ToJson(header).find("\"holes\": [\n    {\n      \"sample\": 0,"), std::string::npos)
      << ToJson(header);
}

TEST(Print, JsonHasNoWordForNan) {
  v1::JobSpec spec;
  spec.mutable_optimizer()->set_lr(std::numeric_limits<double>::quiet_NaN());
  EXPECT_NE(ToJson(spec).find("\"lr\": null"), std::string::npos);
}

TEST(Print, YamlStringsAreQuotedWhereTheyCouldMeanSomethingElse) {
  EXPECT_EQ(YamlString("plain text"), "plain text");
  EXPECT_EQ(YamlString("/a/b-c.tar"), "/a/b-c.tar");
  for (const char* text :
       {"", "no", "Null", "1e3", "-x", "a: b", "a #b", "{x", "a ", "é", "a\nb"}) {
    EXPECT_EQ(YamlString(text).front(), '"') << text;
  }
}

}  // namespace
}  // namespace navit
