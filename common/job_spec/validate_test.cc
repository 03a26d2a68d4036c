#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/job_spec/resolve.h"
#include "common/job_spec/rules.h"
#include "common/job_spec/validate_fixture.h"

namespace navit {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ValidateJobSpec, AcceptsDefaults) {
  EXPECT_THAT(Violations([](v1::JobSpec&) {}), ElementsAre());
}

TEST(ValidateJobSpec, AcceptsUrlsOfDataAndIndexes) {
  const auto change = [](v1::JobSpec& s) {
    s.mutable_data()->mutable_train(0)->set_shards("s3://b/{0..3}.tar::/data/*.tar");
    s.mutable_data()->add_train()->set_shards("https://host:8080/a.tar?token=1");
    s.mutable_data()->add_validation()->set_shards("http://host/b.tar");
    s.mutable_data()->set_index("s3://indexes/of/b/");
    s.mutable_train_for()->clear_epochs();
    s.mutable_train_for()->set_steps(1);
  };
  EXPECT_THAT(Violations(change), ElementsAre());
}

TEST(ValidateJobSpec, RelayHoldsTwoSteps) {
  // The defaults' pack: 576 tokens of 16 x 16 x 3 bytes, and little else.
  v1::JobSpec spec = GoodSpec();
  ResolveJobSpec(&spec);
  const double step = EstimatedStepBytes(spec);
  EXPECT_GT(step, 16.0 * 576 * 768);
  EXPECT_LT(step, 16.0 * 576 * 768 * 1.1);
  spec.mutable_budgets()->set_relay_bytes(static_cast<uint64_t>(2 * step) + 1);
  EXPECT_TRUE(ValidateJobSpec(spec).empty());
  spec.mutable_budgets()->set_relay_bytes(static_cast<uint64_t>(2 * step) - 1);
  ASSERT_EQ(ValidateJobSpec(spec).size(), 1u);
  EXPECT_EQ(ValidateJobSpec(spec)[0].path, "budgets.relay_bytes");
}

TEST(ValidateJobSpec, RefusesFieldsOfALaterVersion) {
  v1::JobSpec spec = GoodSpec();
  ResolveJobSpec(&spec);
  spec.GetReflection()->MutableUnknownFields(&spec)->AddVarint(999, 1);
  v1::PackingSpec* packing = spec.mutable_packing();
  packing->GetReflection()->MutableUnknownFields(packing)->AddVarint(998, 1);
  const std::vector<FieldViolation> violations = ValidateJobSpec(spec);
  ASSERT_EQ(violations.size(), 2u);
  EXPECT_THAT(violations[0].message, HasSubstr("999"));
  EXPECT_EQ(violations[1].path, "packing");
}

TEST(ValidateJobSpec, ListsManyFaultsButNotAll) {
  v1::JobSpec spec = GoodSpec();
  for (int i = 0; i < 100000; ++i) spec.mutable_preprocess()->add_mean(7);
  ResolveJobSpec(&spec);
  EXPECT_EQ(ValidateJobSpec(spec).size(), 100u);
}

// Every number of the file in turn just outside its bounds.
void CheckBounds(const google::protobuf::Descriptor& type, const std::string& path,
                 v1::JobSpec* spec, google::protobuf::Message* message) {
  using google::protobuf::FieldDescriptor;
  const google::protobuf::Reflection& reflection = *message->GetReflection();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    const std::string here = JoinPath(path, field.name());
    if (field.message_type() != nullptr && !field.is_repeated()) {
      CheckBounds(*field.message_type(), here, spec, reflection.MutableMessage(message, &field));
    }
    if (field.is_repeated() || !RuleOf(field).has_max()) continue;
    const double outside = RuleOf(field).max() + 1;
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_UINT32:
        reflection.SetUInt32(message, &field, static_cast<uint32_t>(outside));
        break;
      case FieldDescriptor::CPPTYPE_UINT64:
        reflection.SetUInt64(message, &field, static_cast<uint64_t>(outside));
        break;
      case FieldDescriptor::CPPTYPE_DOUBLE:
        reflection.SetDouble(message, &field, outside);
        break;
      default:
        continue;
    }
    bool found = false;
    for (const FieldViolation& violation : ValidateJobSpec(*spec)) {
      found = found || violation.path == here;
    }
    EXPECT_TRUE(found) << here;
    reflection.ClearField(message, &field);
    ResolveJobSpec(spec);
  }
}

TEST(ValidateJobSpec, ChecksEveryUpperBound) {
  v1::JobSpec spec = GoodSpec();
  ResolveJobSpec(&spec);
  CheckBounds(*v1::JobSpec::descriptor(), "", &spec, &spec);
}

void Label(v1::JobSpec& s) {
  s.mutable_model()->set_classes(10);
  s.mutable_data()->mutable_train(0)->mutable_labels()->set_field("cls");
  v1::Dataset* heldout = s.mutable_data()->add_validation();
  heldout->set_shards("/data/test.tar");
  heldout->mutable_labels()->set_field("json:label");
}

void Classify(v1::JobSpec& s) { s.mutable_loss()->set_kind(v1::LossSpec::SIGMOID_CLASSIFICATION); }

TEST(ValidateJobSpec, ClassificationNeedsLabelsAndClasses) {
  EXPECT_THAT(Violations([](v1::JobSpec& s) { Label(s), Classify(s); }), ElementsAre());
  EXPECT_THAT(Violations(Classify),
              ElementsAre("model.classes: is required by the classification losses",
                          "data.train[0].labels.field: is required by the classification losses"));
  EXPECT_THAT(Violations([](v1::JobSpec& s) {
                Label(s);
                s.mutable_data()->mutable_train(0)->mutable_labels()->set_field("txt");
              }),
              ElementsAre("data.train[0].labels.field: must be cls or json:NAME, is `txt`"));
  EXPECT_THAT(Violations([](v1::JobSpec& s) {
                Label(s);
                s.mutable_model()->clear_classes();
                s.mutable_data()->clear_validation();
              }),
              ElementsAre("model.classes: is required where labels are read "
                          "(data.train[0].labels.field)"));
  EXPECT_THAT(Violations([](v1::JobSpec& s) {
                Label(s);
                *s.mutable_data()->add_train() = s.data().train(0);
                s.mutable_data()->mutable_train(1)->clear_labels();
                s.mutable_train_for()->clear_epochs();
                s.mutable_train_for()->set_steps(1);
              }),
              ElementsAre("data.train[1].labels: either all entries of data.train have labels, or "
                          "none"));
}

TEST(ValidateJobSpec, TasksNameWhatTheyNeed) {
  using Evaluation = v1::EvaluationSpec;
  const auto with = [](std::vector<Evaluation::Task> tasks, bool classify) {
    return Violations([&](v1::JobSpec& s) {
      Label(s);
      if (classify) Classify(s);
      for (const Evaluation::Task task : tasks) s.mutable_evaluation()->add_tasks(task);
    });
  };
  EXPECT_THAT(with({Evaluation::RETRIEVAL, Evaluation::LINEAR_PROBE}, false), ElementsAre());
  EXPECT_THAT(with({Evaluation::CLASSIFICATION}, false),
              ElementsAre("evaluation.tasks[0]: needs a classification loss"));
  EXPECT_THAT(
      with({Evaluation::CLASSIFICATION, Evaluation::RETRIEVAL}, true),
      ElementsAre("evaluation.tasks[1]: needs a text tower, which a classification loss has "
                  "not"));
  EXPECT_THAT(with({Evaluation::ZERO_SHOT}, false),
              ElementsAre("evaluation.zero_shot.class_names: must be given either here or in "
                          "evaluation.zero_shot.class_names_file"));
  EXPECT_THAT(Violations([](v1::JobSpec& s) {
                s.mutable_data()->add_validation()->set_shards("/data/test.tar");
                s.mutable_evaluation()->add_tasks(Evaluation::LINEAR_PROBE);
              }),
              ElementsAre("evaluation.tasks[0]: needs data.validation[0].labels",
                          "evaluation.tasks[0]: needs data.train[].labels"));
}

TEST(ValidateJobSpec, AnEvaluationJobNeedsACheckpointAndHeldOutDataAlone) {
  const auto evaluation = [](v1::JobSpec& s) {
    s.Clear();
    s.set_name("scores");
    s.set_kind("EvaluationJob");
    s.mutable_data()->add_validation()->set_shards("/data/test.tar");
    s.mutable_evaluation()->set_checkpoint("/checkpoints/good/step-00000010-g1");
  };
  EXPECT_THAT(Violations(evaluation), ElementsAre());
  EXPECT_THAT(Violations([&](v1::JobSpec& s) {
                evaluation(s);
                s.mutable_evaluation()->clear_checkpoint();
                s.mutable_checkpoints()->set_directory("/c");
              }),
              ElementsAre("evaluation.checkpoint: is required for an EvaluationJob"));
  EXPECT_THAT(
      Violations([](v1::JobSpec& s) { s.mutable_evaluation()->set_checkpoint("/checkpoints/a"); }),
      ElementsAre("evaluation.checkpoint: is for an EvaluationJob"));
}

}  // namespace
}  // namespace navit
