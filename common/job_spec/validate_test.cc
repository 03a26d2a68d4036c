#include "common/job_spec/validate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "absl/strings/str_cat.h"
#include "common/job_spec/resolve.h"
#include "common/job_spec/rules.h"

namespace navit {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

v1::JobSpec GoodSpec() {
  v1::JobSpec spec;
  spec.set_name("good");
  spec.mutable_data()->add_train()->set_shards("/data/{000..003}.tar");
  spec.mutable_checkpoints()->set_directory("/checkpoints");
  spec.mutable_train_for()->set_epochs(1);
  return spec;
}

// "path: message" of every violation after `change` was applied to a good spec.
std::vector<std::string> Violations(const std::function<void(v1::JobSpec&)>& change) {
  v1::JobSpec spec = GoodSpec();
  change(spec);
  ResolveJobSpec(&spec);
  std::vector<std::string> texts;
  for (const FieldViolation& violation : ValidateJobSpec(spec)) {
    texts.push_back(absl::StrCat(violation.path, ": ", violation.message));
  }
  return texts;
}

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

struct Case {
  const char* name;
  std::function<void(v1::JobSpec&)> change;
  // The whole text of the only violation.
  std::string expected;
};

class ValidateTable : public ::testing::TestWithParam<Case> {};

TEST_P(ValidateTable, NamesTheFieldAndTheFault) {
  EXPECT_THAT(Violations(GetParam().change), ElementsAre(GetParam().expected));
}

#define CHANGE [](v1::JobSpec & s)

const Case kCases[] = {{"bounds_low", CHANGE{s.mutable_packing()->set_windows_per_group(0);
}  // namespace
, "packing.windows_per_group: must be in [1, 256], is 0"
}  // namespace navit
, {"bounds_high", CHANGE{s.set_priority(1001);
}
, "priority: must be in [-1000, 1000], is 1001"
}
, {"one_sided", CHANGE{s.mutable_budgets()->set_relay_bytes(7);
}
, "budgets.relay_bytes: must be at least 1048576, is 7"
}
, {"another_planner", CHANGE{s.mutable_packing()->set_plan_version(2);
}
, "packing.plan_version: must be 3, is 2"
}
, {"list_element", CHANGE{for (float x : {0.5f, 2.0f, 0.5f}) s.mutable_preprocess()->add_mean(x);
}
, "preprocess.mean[1]: must be in [0, 1], is 2"
}
, {"nan", CHANGE{s.mutable_optimizer()->set_lr(kNan);
}
, "optimizer.lr: must be a finite number, is nan"
}
, {"infinite", CHANGE{s.mutable_optimizer()->set_clip_norm(1 / 0.0);
}
, "optimizer.clip_norm: must be a finite number, is inf"
}
, {"unknown_enum", CHANGE{s.mutable_loss()->set_kind(static_cast<v1::LossSpec::Kind>(77));
}
, "loss.kind: must be one of softmax, sigmoid, softmax_classification, "
  "sigmoid_classification; is the unknown number 77"
}
, {"api_version", CHANGE{s.set_api_version("navit.v2");
}
, "api_version: must be navit.v1, is `navit.v2`"
}
, {"kind", CHANGE{s.set_kind("Pod");
}
, "kind: must be TrainingJob or EvaluationJob, is `Pod`"
}
, {"no_name", CHANGE{s.clear_name();
}
, "name: is required"
}
, {"name", CHANGE{s.set_name("Big_Job");
}
, "name: must be a DNS label (1 to 63 of a-z, 0-9 and -, neither first nor last a -), is "
  "`Big_Job`"
}
, {"no_train", CHANGE{s.mutable_data()->clear_train();
}
, "data.train: is required"
}
, {"epochs_of_a_mixture", CHANGE{s.mutable_data()->add_train()->set_shards("/b/");
s.mutable_train_for()->clear_steps();
s.mutable_train_for()->set_epochs(2);
}
, "train_for.epochs: must not be given for a mixture: each of the 2 entries of data.train has "
  "epochs of its own; give steps or examples"
}
, {"weight", CHANGE{s.mutable_data()->mutable_train(0)->set_weight(0);
}
, "data.train[0].weight: must be in [1e-06, 1000000], is 0"
}
, {"weight_of_validation", CHANGE{s.mutable_data()->add_validation()->set_shards("/b/");
s.mutable_data()->mutable_validation(0)->set_weight(2);
}
, "data.validation[0].weight: must not be given: held-out data is evaluated whole"
}
, {"two_validation", CHANGE{s.mutable_data()->add_validation()->set_shards("/b/");
s.mutable_data()->add_validation()->set_shards("/c/");
}
, "data.validation: must have one entry in this version, has 2"
}
, {"no_shards", CHANGE{s.mutable_data()->mutable_train(0)->clear_shards();
}
, "data.train[0].shards: is required"
}
, {"unknown_scheme", CHANGE{s.mutable_data()->mutable_train(0)->set_shards("gs://b/a.tar");
}
, "data.train[0].shards: gs://b/a.tar: unknown scheme; known are paths, http://, https:// and "
  "s3://"
}
, {"open_brace", CHANGE{s.mutable_data()->mutable_train(0)->set_shards("/a/x.tar::/a/{0..9.tar");
}
, "data.train[0].shards: /a/{0..9.tar: character 4: this { is not closed"
}
, {"too_many_names", CHANGE{s.mutable_data()->mutable_train(0)->set_shards("/a/{0..1000000}");
}
, "data.train[0].shards: /a/{0..1000000}: its braces make more than 1000000 names"
}
, {"no_bucket", CHANGE{s.mutable_data()->add_validation()->set_shards("s3:///a.tar");
}
, "data.validation[0].shards: s3:///a.tar: names no bucket"
}
, {"password_in_url", CHANGE{s.mutable_data()->set_index("https://me:secret@host/");
}
, "data.index: https://…: credentials must not stand in a URL"
}
, {"relative_shards", CHANGE{s.mutable_data()->mutable_train(0)->set_shards("/a.tar::b.tar");
}
, "data.train[0].shards: must be an absolute path (each process has its own working folder) or an "
  "s3://, http:// or https:// URL, is `b.tar`"
}
, {"checkpoints_in_s3", CHANGE{s.mutable_checkpoints()->set_directory("s3://b/ckpt");
}
, "checkpoints.directory: must be a local path in this version, is `s3://b/ckpt`"
}
, {"relative", CHANGE{s.mutable_checkpoints()->set_directory("ckpt");
}
, "checkpoints.directory: must be an absolute path (each process has its own working folder), "
  "is `ckpt`"
}
, {"control_characters", CHANGE{s.mutable_data()->set_index("/a\nb");
}
, "data.index: must not hold control characters, is `/a\\nb`"
}
, {"long_text", CHANGE{s.mutable_data()->set_index("/" + std::string(5000, 'a'));
}
, "data.index: must be at most 4096 bytes, is 5001"
}
, {"caption_field",
   CHANGE{s.mutable_data()->mutable_train(0)->mutable_captions()->set_field("json:");
}
, "data.train[0].captions.field: must be txt, cls or json:NAME, is `json:`"
}
, {"mean_length", CHANGE{s.mutable_preprocess()->add_mean(0.5f);
}
, "preprocess.mean: must have 3 numbers, has 1"
}
, {"betas_length", CHANGE{for (int i = 0; i < 3; ++i) s.mutable_optimizer()->add_betas(0.5);
}
, "optimizer.betas: must have 2 numbers, has 3"
}
, {"sides", CHANGE{s.mutable_resolution()->set_min_pixels(500);
}
, "resolution.min_pixels: must be at most resolution.max_pixels (384), is 500"
}
, {"index_over_http", CHANGE{s.mutable_data()->set_index("https://data.example/indexes/");
}
, "data.index: must be a local folder or an s3:// URL: http is only read, is "
  "`https://data.example/indexes/`"
}
, {"resolution_list",
   CHANGE{s.mutable_resolution()->set_distribution(v1::ResolutionSpec::DISTRIBUTION_LIST);
}
, "resolution.list: must have an entry of weight above 0 for distribution list"
}
, {"resolution_list_unused", CHANGE{s.mutable_resolution()->add_list()->set_pixels(224);
}
, "resolution.list: is for resolution.distribution list only"
}
, {"drop_schedule_half", CHANGE{s.mutable_token_drop()->mutable_schedule()->set_from(0.5);
}
, "token_drop.schedule: needs both from and to"
}
, {"drop_schedule_steps", CHANGE{s.mutable_token_drop()->mutable_schedule()->set_from(0.5);
s.mutable_token_drop()->mutable_schedule()->set_to(0.2);
s.mutable_train_for()->Clear();
s.mutable_train_for()->set_steps(10);
}
, "token_drop.schedule.over_examples: is required for a job given in steps: how many images it "
  "sees is not known before"
}
, {"beta_mean", CHANGE{s.mutable_token_drop()->set_mean(0.9);
}
, "token_drop.mean: must be below token_drop.max (0.9), is 0.9"
}
, {"beta_zero", CHANGE{s.mutable_token_drop()->set_mean(0);
}
, "token_drop.mean: must be above 0 for kind beta; for no drop use kind none"
}
, {"examples_per_sequence", CHANGE{s.mutable_packing()->set_max_examples_per_sequence(577);
}
, "packing.max_examples_per_sequence: must be at most packing.sequence_length (576), is 577"
}
, {"token_pooling",
   CHANGE{s.mutable_model()->mutable_image()->set_pooling(v1::ImageTowerSpec::TOKEN);
}
, "model.image.pooling: token needs model.image.prefix_tokens of at least 1"
}
, {"prefix_tokens", CHANGE{s.mutable_model()->mutable_image()->set_prefix_tokens(16);
s.mutable_packing()->set_sequence_length(16);
s.mutable_packing()->set_max_examples_per_sequence(1);
s.mutable_evaluation()->add_token_budgets(16);
}
, "packing.sequence_length: must be above model.image.prefix_tokens (16), is 16"
}
, {"preset", CHANGE{s.mutable_model()->mutable_text()->set_preset("XXL");
}
, "model.text.preset: must be one of mu, Ti, S, M, B, L; is `XXL`"
}
, {"heads", CHANGE{s.mutable_model()->mutable_text()->mutable_size()->set_heads(7);
}
, "model.text.size.heads: must divide width (768), is 7"
}
, {"tokenizer", CHANGE{s.mutable_model()->mutable_text()->set_tokenizer("bpe");
}
, "model.text.tokenizer: must be an absolute path (each process has its own working folder) or an "
  "s3://, http:// or https:// URL, is `bpe`"
}
, {"no_end", CHANGE{s.clear_train_for();
}
, "train_for: must name exactly one of steps, epochs, examples; names 0"
}
, {"two_ends", CHANGE{s.mutable_train_for()->set_steps(3);
}
, "train_for: must name exactly one of steps, epochs, examples; names 2"
}
, {"trainers", CHANGE{s.mutable_workers()->mutable_trainers()->set_min(3);
s.mutable_workers()->mutable_trainers()->set_max(2);
}
, "workers.trainers.min: must be at most workers.trainers.max (2), is 3"
}
, {"packers", CHANGE{s.mutable_workers()->mutable_packers()->set_min(3);
s.mutable_workers()->mutable_packers()->set_max(2);
}
, "workers.packers.min: must be at most workers.packers.max (2), is 3"
}
, {"token_budget", CHANGE{s.mutable_evaluation()->add_token_budgets(577);
}
, "evaluation.token_budgets[0]: must be at most packing.sequence_length (576), is 577"
}
, {"heartbeat", CHANGE{s.mutable_timeouts()->set_heartbeat_seconds(10);
}
, "timeouts.heartbeat_seconds: must be below timeouts.lease_seconds (10), is 10"
}
, {"lease", CHANGE{s.mutable_timeouts()->set_collective_seconds(9.5);
}
, "timeouts.lease_seconds: must be below timeouts.collective_seconds (9.5), is 10"
}
,
}
;

INSTANTIATE_TEST_SUITE_P(All, ValidateTable, ::testing::ValuesIn(kCases),
                         [](const auto& info) { return std::string(info.param.name); });

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
  EXPECT_THAT(with({Evaluation::CLASSIFICATION, Evaluation::RETRIEVAL}, true),
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
