// Faults of one field each, with the whole text that names the field and the fault.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>

#include "common/job_spec/validate_fixture.h"

namespace navit {
namespace {

using ::testing::ElementsAre;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

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

const Case kCases[] = {
    {"bounds_low", [](v1::JobSpec& s) { s.mutable_packing()->set_windows_per_group(0); },
     "packing.windows_per_group: must be in [1, 256], is 0"},
    {"bounds_high", [](v1::JobSpec& s) { s.set_priority(1001); },
     "priority: must be in [-1000, 1000], is 1001"},
    {"one_sided", [](v1::JobSpec& s) { s.mutable_budgets()->set_relay_bytes(7); },
     "budgets.relay_bytes: must be at least 1048576, is 7"},
    {"another_planner", [](v1::JobSpec& s) { s.mutable_packing()->set_plan_version(2); },
     "packing.plan_version: must be 3, is 2"},
    {"list_element",
     [](v1::JobSpec& s) {
       for (float x : {0.5f, 2.0f, 0.5f}) s.mutable_preprocess()->add_mean(x);
     },
     "preprocess.mean[1]: must be in [0, 1], is 2"},
    {"nan", [](v1::JobSpec& s) { s.mutable_optimizer()->set_lr(kNan); },
     "optimizer.lr: must be a finite number, is nan"},
    {"infinite", [](v1::JobSpec& s) { s.mutable_optimizer()->set_clip_norm(1 / 0.0); },
     "optimizer.clip_norm: must be a finite number, is inf"},
    {"unknown_enum",
     [](v1::JobSpec& s) { s.mutable_loss()->set_kind(static_cast<v1::LossSpec::Kind>(77)); },
     "loss.kind: must be one of softmax, sigmoid, softmax_classification, "
     "sigmoid_classification; is the unknown number 77"},
    {"api_version", [](v1::JobSpec& s) { s.set_api_version("navit.v2"); },
     "api_version: must be navit.v1, is `navit.v2`"},
    {"kind", [](v1::JobSpec& s) { s.set_kind("Pod"); },
     "kind: must be TrainingJob or EvaluationJob, is `Pod`"},
    {"no_name", [](v1::JobSpec& s) { s.clear_name(); }, "name: is required"},
    {"name", [](v1::JobSpec& s) { s.set_name("Big_Job"); },
     "name: must be a DNS label (1 to 63 of a-z, 0-9 and -, neither first nor last a -), is "
     "`Big_Job`"},
    {"no_train", [](v1::JobSpec& s) { s.mutable_data()->clear_train(); },
     "data.train: is required"},
    {"epochs_of_a_mixture",
     [](v1::JobSpec& s) {
       s.mutable_data()->add_train()->set_shards("/b/");
       s.mutable_train_for()->clear_steps();
       s.mutable_train_for()->set_epochs(2);
     },
     "train_for.epochs: must not be given for a mixture: each of the 2 entries of data.train has "
     "epochs of its own; give steps or examples"},
    {"weight", [](v1::JobSpec& s) { s.mutable_data()->mutable_train(0)->set_weight(0); },
     "data.train[0].weight: must be in [1e-06, 1000000], is 0"},
    {"weight_of_validation",
     [](v1::JobSpec& s) {
       s.mutable_data()->add_validation()->set_shards("/b/");
       s.mutable_data()->mutable_validation(0)->set_weight(2);
     },
     "data.validation[0].weight: must not be given: held-out data is evaluated whole"},
    {"two_validation",
     [](v1::JobSpec& s) {
       s.mutable_data()->add_validation()->set_shards("/b/");
       s.mutable_data()->add_validation()->set_shards("/c/");
     },
     "data.validation: must have one entry in this version, has 2"},
    {"no_shards", [](v1::JobSpec& s) { s.mutable_data()->mutable_train(0)->clear_shards(); },
     "data.train[0].shards: is required"},
    {"unknown_scheme",
     [](v1::JobSpec& s) { s.mutable_data()->mutable_train(0)->set_shards("gs://b/a.tar"); },
     "data.train[0].shards: gs://b/a.tar: unknown scheme; known are paths, http://, https:// and "
     "s3://"},
    {"open_brace",
     [](v1::JobSpec& s) {
       s.mutable_data()->mutable_train(0)->set_shards("/a/x.tar::/a/{0..9.tar");
     },
     "data.train[0].shards: /a/{0..9.tar: character 4: this { is not closed"},
    {"too_many_names",
     [](v1::JobSpec& s) { s.mutable_data()->mutable_train(0)->set_shards("/a/{0..1000000}"); },
     "data.train[0].shards: /a/{0..1000000}: its braces make more than 1000000 names"},
    {"no_bucket",
     [](v1::JobSpec& s) { s.mutable_data()->add_validation()->set_shards("s3:///a.tar"); },
     "data.validation[0].shards: s3:///a.tar: names no bucket"},
    {"password_in_url",
     [](v1::JobSpec& s) { s.mutable_data()->set_index("https://me:secret@host/"); },
     "data.index: https://…: credentials must not stand in a URL"},
    {"relative_shards",
     [](v1::JobSpec& s) { s.mutable_data()->mutable_train(0)->set_shards("/a.tar::b.tar"); },
     "data.train[0].shards: must be an absolute path (each process has its own working folder) or "
     "an "
     "s3://, http:// or https:// URL, is `b.tar`"},
    {"checkpoints_in_s3",
     [](v1::JobSpec& s) { s.mutable_checkpoints()->set_directory("s3://b/ckpt"); },
     "checkpoints.directory: must be a local path in this version, is `s3://b/ckpt`"},
    {"relative", [](v1::JobSpec& s) { s.mutable_checkpoints()->set_directory("ckpt"); },
     "checkpoints.directory: must be an absolute path (each process has its own working folder), "
     "is `ckpt`"},
    {"control_characters", [](v1::JobSpec& s) { s.mutable_data()->set_index("/a\nb"); },
     "data.index: must not hold control characters, is `/a\\nb`"},
    {"long_text", [](v1::JobSpec& s) { s.mutable_data()->set_index("/" + std::string(5000, 'a')); },
     "data.index: must be at most 4096 bytes, is 5001"},
    {"caption_field",
     [](v1::JobSpec& s) {
       s.mutable_data()->mutable_train(0)->mutable_captions()->set_field("json:");
     },
     "data.train[0].captions.field: must be txt, cls or json:NAME, is `json:`"},
    {"mean_length", [](v1::JobSpec& s) { s.mutable_preprocess()->add_mean(0.5f); },
     "preprocess.mean: must have 3 numbers, has 1"},
    {"betas_length",
     [](v1::JobSpec& s) {
       for (int i = 0; i < 3; ++i) s.mutable_optimizer()->add_betas(0.5);
     },
     "optimizer.betas: must have 2 numbers, has 3"},
    {"sides", [](v1::JobSpec& s) { s.mutable_resolution()->set_min_pixels(500); },
     "resolution.min_pixels: must be at most resolution.max_pixels (384), is 500"},
    {"index_over_http",
     [](v1::JobSpec& s) { s.mutable_data()->set_index("https://data.example/indexes/"); },
     "data.index: must be a local folder or an s3:// URL: http is only read, is "
     "`https://data.example/indexes/`"},
    {"resolution_list",
     [](v1::JobSpec& s) {
       s.mutable_resolution()->set_distribution(v1::ResolutionSpec::DISTRIBUTION_LIST);
     },
     "resolution.list: must have an entry of weight above 0 for distribution list"},
    {"resolution_list_unused",
     [](v1::JobSpec& s) { s.mutable_resolution()->add_list()->set_pixels(224); },
     "resolution.list: is for resolution.distribution list only"},
    {"drop_schedule_half",
     [](v1::JobSpec& s) { s.mutable_token_drop()->mutable_schedule()->set_from(0.5); },
     "token_drop.schedule: needs both from and to"},
    {"drop_schedule_steps",
     [](v1::JobSpec& s) {
       s.mutable_token_drop()->mutable_schedule()->set_from(0.5);
       s.mutable_token_drop()->mutable_schedule()->set_to(0.2);
       s.mutable_train_for()->Clear();
       s.mutable_train_for()->set_steps(10);
     },
     "token_drop.schedule.over_examples: is required for a job given in steps: how many images it "
     "sees is not known before"},
    {"beta_mean", [](v1::JobSpec& s) { s.mutable_token_drop()->set_mean(0.9); },
     "token_drop.mean: must be below token_drop.max (0.9), is 0.9"},
    {"beta_zero", [](v1::JobSpec& s) { s.mutable_token_drop()->set_mean(0); },
     "token_drop.mean: must be above 0 for kind beta; for no drop use kind none"},
    {"examples_per_sequence",
     [](v1::JobSpec& s) { s.mutable_packing()->set_max_examples_per_sequence(577); },
     "packing.max_examples_per_sequence: must be at most packing.sequence_length (576), is 577"},
    {"token_pooling",
     [](v1::JobSpec& s) {
       s.mutable_model()->mutable_image()->set_pooling(v1::ImageTowerSpec::TOKEN);
     },
     "model.image.pooling: token needs model.image.prefix_tokens of at least 1"},
    {"prefix_tokens",
     [](v1::JobSpec& s) {
       s.mutable_model()->mutable_image()->set_prefix_tokens(16);
       s.mutable_packing()->set_sequence_length(16);
       s.mutable_packing()->set_max_examples_per_sequence(1);
       s.mutable_evaluation()->add_token_budgets(16);
     },
     "packing.sequence_length: must be above model.image.prefix_tokens (16), is 16"},
    {"preset", [](v1::JobSpec& s) { s.mutable_model()->mutable_text()->set_preset("XXL"); },
     "model.text.preset: must be one of mu, Ti, S, M, B, L; is `XXL`"},
    {"heads",
     [](v1::JobSpec& s) { s.mutable_model()->mutable_text()->mutable_size()->set_heads(7); },
     "model.text.size.heads: must divide width (768), is 7"},
    {"tokenizer", [](v1::JobSpec& s) { s.mutable_model()->mutable_text()->set_tokenizer("bpe"); },
     "model.text.tokenizer: must be an absolute path (each process has its own working folder) or "
     "an "
     "s3://, http:// or https:// URL, is `bpe`"},
    {"no_end", [](v1::JobSpec& s) { s.clear_train_for(); },
     "train_for: must name exactly one of steps, epochs, examples; names 0"},
    {"two_ends", [](v1::JobSpec& s) { s.mutable_train_for()->set_steps(3); },
     "train_for: must name exactly one of steps, epochs, examples; names 2"},
    {"trainers",
     [](v1::JobSpec& s) {
       s.mutable_workers()->mutable_trainers()->set_min(3);
       s.mutable_workers()->mutable_trainers()->set_max(2);
     },
     "workers.trainers.min: must be at most workers.trainers.max (2), is 3"},
    {"packers",
     [](v1::JobSpec& s) {
       s.mutable_workers()->mutable_packers()->set_min(3);
       s.mutable_workers()->mutable_packers()->set_max(2);
     },
     "workers.packers.min: must be at most workers.packers.max (2), is 3"},
    {"token_budget", [](v1::JobSpec& s) { s.mutable_evaluation()->add_token_budgets(577); },
     "evaluation.token_budgets[0]: must be at most packing.sequence_length (576), is 577"},
    {"heartbeat", [](v1::JobSpec& s) { s.mutable_timeouts()->set_heartbeat_seconds(10); },
     "timeouts.heartbeat_seconds: must be below timeouts.lease_seconds (10), is 10"},
    {"lease", [](v1::JobSpec& s) { s.mutable_timeouts()->set_collective_seconds(9.5); },
     "timeouts.lease_seconds: must be below timeouts.collective_seconds (9.5), is 10"},
};

INSTANTIATE_TEST_SUITE_P(All, ValidateTable, ::testing::ValuesIn(kCases),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace navit
