#include "common/job_spec/resolve.h"

#include <algorithm>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/byte_tokenizer.h"
#include "common/job_kind.h"
#include "common/job_spec/rules.h"
#include "common/job_spec/scalar.h"

namespace navit {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr TowerPreset kPresets[] = {
    {"mu", 32, 1, 128, 2},   {"Ti", 192, 12, 768, 3},  {"S", 384, 12, 1536, 6},
    {"M", 512, 12, 2048, 8}, {"B", 768, 12, 3072, 12}, {"L", 1024, 24, 4096, 16},
};

bool IsAbsent(const Message& message, const FieldDescriptor& field) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  if (field.is_repeated()) return reflection.FieldSize(message, &field) == 0;
  // For texts and enums without presence, HasField means "not empty" and "not unspecified".
  return !reflection.HasField(message, &field);
}

// Stores a rule's default; lists are written [a, b]. A default that does not parse is a mistake in
// the .proto and is left out; the test of all defaults finds it.
void StoreDefault(const FieldDescriptor& field, absl::string_view text, Message* message) {
  if (!field.is_repeated()) {
    StoreScalar(text, field, message).IgnoreError();
    return;
  }
  text = absl::StripSuffix(absl::StripPrefix(text, "["), "]");
  for (absl::string_view element : absl::StrSplit(text, ',')) {
    StoreScalar(absl::StripAsciiWhitespace(element), field, message).IgnoreError();
  }
}

void FillDefaults(Message* message) {
  const google::protobuf::Descriptor& type = *message->GetDescriptor();
  const google::protobuf::Reflection& reflection = *message->GetReflection();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      if (!field.is_repeated()) {
        FillDefaults(reflection.MutableMessage(message, &field));
        continue;
      }
      for (int j = 0; j < reflection.FieldSize(*message, &field); ++j) {
        FillDefaults(reflection.MutableRepeatedMessage(message, &field, j));
      }
      continue;
    }
    const std::string& text = RuleOf(field).default_value();
    if (!text.empty() && IsAbsent(*message, field)) StoreDefault(field, text, message);
  }
}

// Fills what `size` leaves open.
void FillSize(const v1::TowerSize& from, v1::TowerSize* size) {
  if (!size->has_width() && from.has_width()) size->set_width(from.width());
  if (!size->has_depth() && from.has_depth()) size->set_depth(from.depth());
  if (!size->has_mlp_dim() && from.has_mlp_dim()) size->set_mlp_dim(from.mlp_dim());
  if (!size->has_heads() && from.has_heads()) size->set_heads(from.heads());
}

void FillSizeFromPreset(absl::string_view name, v1::TowerSize* size) {
  const std::optional<TowerPreset> preset = FindTowerPreset(name);
  if (!preset.has_value()) return;
  v1::TowerSize from;
  from.set_width(preset->width);
  from.set_depth(preset->depth);
  from.set_mlp_dim(preset->mlp_dim);
  from.set_heads(preset->heads);
  FillSize(from, size);
}

void FillModel(v1::ModelSpec* model) {
  v1::ImageTowerSpec* image = model->mutable_image();
  FillSizeFromPreset(image->preset(), image->mutable_size());
  if (!image->has_position_rows()) image->set_position_rows(image->max_grid());
  v1::TextTowerSpec* text = model->mutable_text();
  if (text->preset().empty()) {
    text->set_preset(image->preset());
    FillSize(image->size(), text->mutable_size());
  } else {
    FillSizeFromPreset(text->preset(), text->mutable_size());
  }
  if (!text->has_vocabulary_size() && text->tokenizer() == kByteTokenizer) {
    text->set_vocabulary_size(kByteVocabularySize);
  }
  if (!model->has_embedding_dim() && image->size().has_width()) {
    model->set_embedding_dim(image->size().width());
  }
}

void FillEvaluation(uint32_t sequence_length, bool classification, v1::EvaluationSpec* evaluation) {
  if (evaluation->token_budgets().empty()) {
    evaluation->add_token_budgets(std::clamp(sequence_length, 1u, 196u));
  }
  if (evaluation->tasks().empty()) {
    evaluation->add_tasks(classification ? v1::EvaluationSpec::CLASSIFICATION
                                         : v1::EvaluationSpec::RETRIEVAL);
  }
  v1::ZeroShotSpec* zero_shot = evaluation->mutable_zero_shot();
  if (HasTask(*evaluation, v1::EvaluationSpec::ZERO_SHOT) && zero_shot->templates().empty() &&
      zero_shot->templates_file().empty()) {
    zero_shot->add_templates("a photo of a {}.");
  }
}

// What a job asks for that is never used where nothing is trained.
void FillEvaluationJob(v1::JobSpec* spec) {
  v1::DataSpec* data = spec->mutable_data();
  if (data->train().empty() && !data->validation().empty() &&
      !HasTask(spec->evaluation(), v1::EvaluationSpec::LINEAR_PROBE)) {
    *data->add_train() = data->validation(0);
  }
  v1::TrainFor* train_for = spec->mutable_train_for();
  if (!train_for->has_steps() && !train_for->has_epochs() && !train_for->has_examples()) {
    train_for->set_steps(1);
  }
  if (spec->checkpoints().directory().empty()) {
    spec->mutable_checkpoints()->set_directory(spec->evaluation().checkpoint());
  }
}

}  // namespace

std::optional<TowerPreset> FindTowerPreset(absl::string_view name) {
  for (const TowerPreset& preset : kPresets) {
    if (name == preset.name) return preset;
  }
  return std::nullopt;
}

absl::string_view TowerPresetNames() { return "mu, Ti, S, M, B, L"; }

void ResolveJobSpec(v1::JobSpec* spec) {
  FillDefaults(spec);

  v1::PackingSpec* packing = spec->mutable_packing();
  if (!packing->has_max_examples_per_sequence()) {
    packing->set_max_examples_per_sequence(std::max(1u, packing->sequence_length() / 8));
  }
  v1::TrainersSpec* trainers = spec->mutable_workers()->mutable_trainers();
  if (!trainers->has_max()) trainers->set_max(trainers->min());
  v1::Range* packers = spec->mutable_workers()->mutable_packers();
  if (!packers->has_max()) packers->set_max(packers->min());
  FillModel(spec->mutable_model());
  const bool classification = IsClassification(spec->loss().kind());
  if (classification) spec->mutable_model()->clear_text();
  FillEvaluation(packing->sequence_length(), classification, spec->mutable_evaluation());
  if (IsEvaluationJob(*spec)) FillEvaluationJob(spec);
  // A group of defaults says nothing about labels.
  for (auto* datasets :
       {spec->mutable_data()->mutable_train(), spec->mutable_data()->mutable_validation()}) {
    for (v1::Dataset& dataset : *datasets) {
      if (dataset.labels().field().empty()) dataset.clear_labels();
    }
  }
}

}  // namespace navit
