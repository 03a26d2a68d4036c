#include "common/job_spec/resolve.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "common/job_spec/rules.h"
#include "common/job_spec/scalar.h"
#include "google/protobuf/util/message_differencer.h"

namespace navit {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

TEST(ResolveJobSpec, FillsTheDefaultsOfTheRules) {
  v1::JobSpec spec;
  ResolveJobSpec(&spec);
  EXPECT_EQ(spec.api_version(), "navit.v1");
  EXPECT_EQ(spec.seed(), 42u);
  EXPECT_EQ(spec.resolution().distribution(), v1::ResolutionSpec::DISTRIBUTION_TRUNCATED_NORMAL);
  EXPECT_EQ(spec.resolution().mu(), -0.5);
  EXPECT_EQ(spec.token_drop().kind(), v1::TokenDropSpec::BETA);
  ASSERT_EQ(spec.preprocess().mean_size(), 3);
  EXPECT_EQ(spec.preprocess().mean(2), 0.5f);
  ASSERT_EQ(spec.optimizer().betas_size(), 2);
  EXPECT_EQ(spec.optimizer().betas(1), 0.95);
  EXPECT_EQ(spec.optimizer().eps(), 1e-8);
  EXPECT_TRUE(spec.evaluation().has_trained_pairs());
  EXPECT_EQ(spec.budgets().relay_bytes(), 536870912u);
}

TEST(ResolveJobSpec, FillsListEntries) {
  v1::JobSpec spec;
  spec.mutable_data()->add_train();
  ResolveJobSpec(&spec);
  EXPECT_EQ(spec.data().train(0).captions().field(), "txt");
  EXPECT_EQ(spec.data().train(0).captions().if_missing(), v1::CaptionsSpec::SKIP);
}

TEST(ResolveJobSpec, KeepsWhatIsPresentEvenWhenItIsZero) {
  v1::JobSpec spec;
  spec.set_seed(0);
  spec.mutable_token_drop()->set_mean(0);
  spec.mutable_optimizer()->add_betas(0.5);
  ResolveJobSpec(&spec);
  EXPECT_EQ(spec.seed(), 0u);
  EXPECT_EQ(spec.token_drop().mean(), 0);
  EXPECT_EQ(spec.optimizer().betas_size(), 1);
}

TEST(ResolveJobSpec, ComputesDefaultsFromOtherFields) {
  v1::JobSpec spec;
  spec.mutable_packing()->set_sequence_length(128);
  spec.mutable_workers()->mutable_trainers()->set_min(3);
  spec.mutable_workers()->mutable_packers()->set_min(2);
  spec.mutable_model()->mutable_image()->set_preset("S");
  spec.mutable_model()->mutable_image()->mutable_size()->set_depth(4);
  ResolveJobSpec(&spec);
  EXPECT_EQ(spec.packing().max_examples_per_sequence(), 16u);
  EXPECT_EQ(spec.evaluation().token_budgets(0), 128u);
  EXPECT_EQ(spec.workers().trainers().max(), 3u);
  EXPECT_EQ(spec.workers().packers().max(), 2u);
  EXPECT_EQ(spec.model().image().size().width(), 384u);
  EXPECT_EQ(spec.model().image().size().depth(), 4u);
  EXPECT_EQ(spec.model().text().preset(), "S");
  EXPECT_EQ(spec.model().text().size().depth(), 4u);
  EXPECT_EQ(spec.model().text().size().heads(), 6u);
  EXPECT_EQ(spec.model().embedding_dim(), 384u);
}

TEST(ResolveJobSpec, TextPresetOfItsOwnTakesNothingFromTheImageTower) {
  v1::JobSpec spec;
  spec.mutable_model()->mutable_image()->mutable_size()->set_depth(4);
  spec.mutable_model()->mutable_text()->set_preset("Ti");
  spec.mutable_model()->mutable_text()->mutable_size()->set_heads(6);
  ResolveJobSpec(&spec);
  EXPECT_EQ(spec.model().text().size().width(), 192u);
  EXPECT_EQ(spec.model().text().size().depth(), 12u);
  EXPECT_EQ(spec.model().text().size().heads(), 6u);
}

TEST(ResolveJobSpec, AClassificationLossHasNoTextTower) {
  v1::JobSpec spec;
  spec.mutable_loss()->set_kind(v1::LossSpec::SOFTMAX_CLASSIFICATION);
  spec.mutable_data()->add_train()->mutable_labels()->set_field("cls");
  spec.mutable_data()->add_train();
  ResolveJobSpec(&spec);
  EXPECT_FALSE(spec.model().has_text());
  ASSERT_EQ(spec.evaluation().tasks_size(), 1);
  EXPECT_EQ(spec.evaluation().tasks(0), v1::EvaluationSpec::CLASSIFICATION);
  EXPECT_EQ(spec.data().train(0).labels().if_missing(), v1::CaptionsSpec::SKIP);
  EXPECT_FALSE(spec.data().train(1).has_labels());
  const v1::JobSpec once = spec;
  ResolveJobSpec(&spec);
  EXPECT_EQ(spec.SerializeAsString(), once.SerializeAsString());
}

TEST(ResolveJobSpec, ShortSequencesStillHoldOneExample) {
  v1::JobSpec spec;
  spec.mutable_packing()->set_sequence_length(0);
  ResolveJobSpec(&spec);
  EXPECT_EQ(spec.packing().max_examples_per_sequence(), 1u);
}

TEST(ResolveJobSpec, TwiceIsOnce) {
  v1::JobSpec once;
  once.mutable_data()->add_train()->set_shards("/data/");
  once.mutable_model()->mutable_image()->set_preset("L");
  ResolveJobSpec(&once);
  v1::JobSpec twice = once;
  ResolveJobSpec(&twice);
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(once, twice));
}

// Every field has help and a mark, every default parses, and lies within its own bounds.
void CheckRules(const Descriptor& type, const std::string& path) {
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    const std::string here = JoinPath(path, field.name());
    const v1::FieldRule& rule = RuleOf(field);
    EXPECT_FALSE(rule.help().empty()) << here;
    EXPECT_NE(rule.mutability(), v1::MUTABILITY_UNSPECIFIED) << here;
    if (field.message_type() != nullptr) {
      CheckRules(*field.message_type(), here);
      continue;
    }
    // Without presence a number could not be told from its absence.
    if (IsNumber(field) && !field.is_repeated()) {
      EXPECT_TRUE(field.has_presence()) << here;
    }
    if (rule.default_value().empty() || field.is_repeated()) continue;
    std::unique_ptr<google::protobuf::Message> message(
        google::protobuf::MessageFactory::generated_factory()
            ->GetPrototype(field.containing_type())
            ->New());
    EXPECT_TRUE(StoreScalar(rule.default_value(), field, message.get()).ok()) << here;
  }
}

TEST(FieldRules, AreCompleteAndTheirDefaultsParse) { CheckRules(*v1::JobSpec::descriptor(), ""); }

}  // namespace
}  // namespace navit
