#include "common/job_spec/documentation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "common/job_spec/parse.h"
#include "common/job_spec/print.h"
#include "common/job_spec/resolve.h"
#include "common/job_spec/validate.h"

namespace navit {
namespace {

using ::testing::HasSubstr;

TEST(InitText, IsAValidFileThatResolvesToTheDefaults) {
  absl::StatusOr<v1::JobSpec> spec = ParseJobFile(InitText(), "init.yaml");
  ASSERT_TRUE(spec.ok()) << spec.status() << "\n" << InitText();
  v1::JobSpec defaults;
  defaults.set_name("my-job");
  defaults.mutable_data()->add_train()->set_shards("/path/to/shards/train-*.tar");
  defaults.mutable_checkpoints()->set_directory("/path/to/checkpoints");
  defaults.mutable_train_for()->set_epochs(1);
  ResolveJobSpec(&*spec);
  ResolveJobSpec(&defaults);
  EXPECT_EQ(ToYaml(*spec), ToYaml(defaults));
  EXPECT_TRUE(ValidateJobSpec(*spec).empty());
}

TEST(InitText, NamesEveryFieldWithItsHelp) {
  const std::string text = InitText();
  EXPECT_THAT(text, HasSubstr("\n  # Image tokens of one sequence; the captions of its images "));
  EXPECT_THAT(text, HasSubstr("# Must be in [16, 65536].\n  sequence_length: 576\n"));
  EXPECT_THAT(text, HasSubstr("\n  # max_examples_per_sequence:\n"));
  EXPECT_THAT(text, HasSubstr("\n    - shards: /path"));
  EXPECT_THAT(text, HasSubstr("\n  # validation:\n"));
}

TEST(ExplainField, SaysTypeDefaultBoundsAndValues) {
  const std::string text = *ExplainField("packing.sequence_length");
  EXPECT_THAT(text, HasSubstr("whole number, in [16, 65536]\n"));
  EXPECT_THAT(text, HasSubstr("default: 576\n"));
  EXPECT_THAT(text, HasSubstr("fixed for the job's life"));
  EXPECT_THAT(*ExplainField("token_drop.kind"), HasSubstr("one of none, constant, beta, resolution_dependent\n"));
  EXPECT_THAT(*ExplainField("data.train[0].shards"), HasSubstr("default: none, required\n"));
  EXPECT_EQ(*ExplainField("data.train.captions.field"),
            "data.train.captions.field" + ExplainField("data.train.0.captions.field")->substr(27));
}

TEST(ExplainField, ListsTheFieldsOfAGroup) {
  EXPECT_THAT(*ExplainField(""), HasSubstr("\n  token_drop "));
  EXPECT_THAT(*ExplainField("token_drop"), HasSubstr("\n  mean      Mean share"));
}

TEST(ExplainField, UnknownFieldsAreNotFound) {
  EXPECT_EQ(
      ExplainField("packing.sequence_lenght").status(),
      absl::NotFoundError("packing.sequence_lenght: is no field; did you mean sequence_length?"));
  EXPECT_EQ(ExplainField("seed.x").status().code(), absl::StatusCode::kNotFound);
}

TEST(JsonSchema, IsBalancedAndKnowsTypesBoundsAndRequiredFields) {
  const std::string schema = JsonSchema();
  EXPECT_EQ(std::count(schema.begin(), schema.end(), '{'),
            std::count(schema.begin(), schema.end(), '}'));
  EXPECT_THAT(schema, HasSubstr("\"enum\": [\"none\", \"constant\", \"beta\", \"resolution_dependent\"]"));
  EXPECT_THAT(schema, HasSubstr("\"type\": \"integer\", \"minimum\": 16, \"maximum\": 65536"));
  EXPECT_THAT(schema, HasSubstr("\"required\": [\"name\", \"data\", \"train_for\", "));
  EXPECT_THAT(schema, HasSubstr("\"default\": [0.9, 0.95]"));
}

}  // namespace
}  // namespace navit
