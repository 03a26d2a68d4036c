#include "common/job_spec/pin_prompts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/prompts.h"

namespace navit {
namespace {

using ::testing::ElementsAre;

class PinPromptsTest : public ::testing::Test {
 protected:
  PinPromptsTest() {
    spec_.mutable_model()->set_classes(2);
    spec_.mutable_evaluation()->add_tasks(v1::EvaluationSpec::ZERO_SHOT);
  }

  v1::ZeroShotSpec* zero_shot() { return spec_.mutable_evaluation()->mutable_zero_shot(); }

  std::string Write(const std::string& name, const std::string& text) {
    const std::string path = absl::StrCat(::testing::TempDir(), "/", name);
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }

  // "path: message" of the first violation.
  std::string Pin() {
    const std::vector<FieldViolation> violations = PinPrompts(store_.get(), &spec_);
    return violations.empty() ? "" : absl::StrCat(violations[0].path, ": ", violations[0].message);
  }

  const std::shared_ptr<ObjectStore> store_ = MakeObjectStore();
  v1::JobSpec spec_;
};

TEST_F(PinPromptsTest, LinesOfFilesTakeTheirPlace) {
  zero_shot()->set_class_names_file(Write("names", "tabby cat\r\n\n  caf\u00e9 \n"));
  zero_shot()->set_templates_file(Write("templates", "a {}\nmany {}s, {}"));
  EXPECT_EQ(Pin(), "");
  EXPECT_THAT(zero_shot()->class_names(), ElementsAre("tabby cat", "caf\u00e9"));
  EXPECT_THAT(zero_shot()->templates(), ElementsAre("a {}", "many {}s, {}"));
  EXPECT_TRUE(zero_shot()->class_names_file().empty());
  EXPECT_EQ(Pin(), "") << "a spec that was pinned is pinned";
  ASSERT_EQ(PromptCount(*zero_shot()), 4u);
  EXPECT_EQ(PromptText(*zero_shot(), 1), "many tabby cats, tabby cat");
  EXPECT_EQ(PromptText(*zero_shot(), 2), "a caf\u00e9");
  EXPECT_EQ(PromptClass(*zero_shot(), 2), 1u);
}

TEST_F(PinPromptsTest, NamesWhatIsWrong) {
  zero_shot()->add_class_names("one");
  zero_shot()->add_templates("{}");
  EXPECT_EQ(Pin(), "evaluation.zero_shot.class_names: must be as many as model.classes (2), are 1");
  zero_shot()->add_class_names("two");
  EXPECT_EQ(Pin(), "");
  zero_shot()->add_templates("a photo");
  EXPECT_EQ(Pin(),
            "evaluation.zero_shot.templates[1]: must contain {} for the name, is \"a photo\"");
  zero_shot()->set_class_names_file("/no/such/file");
  EXPECT_TRUE(absl::StartsWith(Pin(), "evaluation.zero_shot.class_names_file: /no/such/file"));
  zero_shot()->set_class_names_file(Write("latin1", "caf\xe9"));
  EXPECT_THAT(Pin(), ::testing::HasSubstr("is not UTF-8 text"));
  spec_.mutable_evaluation()->clear_tasks();
  EXPECT_EQ(Pin(), "") << "not wanted";
}

}  // namespace
}  // namespace navit
