#include "common/job_spec/pin_prompts.h"

#include <google/protobuf/stubs/common.h>

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/job_kind.h"

namespace navit {
namespace {

constexpr uint64_t kMaxFileBytes = uint64_t{4} << 20;

// Moves the lines of `*file`, if it names one, to `*lines`. Empty lines are passed over.
std::vector<FieldViolation> PinLines(ObjectStore* store, const char* path, std::string* file,
                                     google::protobuf::RepeatedPtrField<std::string>* lines) {
  if (file->empty()) return {};
  const absl::StatusOr<std::string> text = ReadObject(store, *file, kMaxFileBytes);
  if (!text.ok()) return {{path, std::string(text.status().message())}};
  if (!google::protobuf::internal::IsStructurallyValidUTF8(text->data(),
                                                           static_cast<int>(text->size()))) {
    return {{path, absl::StrCat(*file, ": is not UTF-8 text")}};
  }
  for (const absl::string_view line : absl::StrSplit(*text, '\n')) {
    const absl::string_view trimmed = absl::StripAsciiWhitespace(line);
    if (!trimmed.empty()) lines->Add(std::string(trimmed));
  }
  file->clear();
  return {};
}

}  // namespace

std::vector<FieldViolation> PinPrompts(ObjectStore* store, v1::JobSpec* spec) {
  v1::EvaluationSpec* evaluation = spec->mutable_evaluation();
  if (!HasTask(*evaluation, v1::EvaluationSpec::ZERO_SHOT)) return {};
  v1::ZeroShotSpec* zero_shot = evaluation->mutable_zero_shot();
  std::vector<FieldViolation> violations =
      PinLines(store, "evaluation.zero_shot.class_names_file",
               zero_shot->mutable_class_names_file(), zero_shot->mutable_class_names());
  if (!violations.empty()) return violations;
  violations = PinLines(store, "evaluation.zero_shot.templates_file",
                        zero_shot->mutable_templates_file(), zero_shot->mutable_templates());
  if (!violations.empty()) return violations;
  if (zero_shot->class_names_size() != static_cast<int64_t>(spec->model().classes())) {
    return {{"evaluation.zero_shot.class_names",
             absl::StrCat("must be as many as model.classes (", spec->model().classes(), "), are ",
                          zero_shot->class_names_size())}};
  }
  for (int i = 0; i < zero_shot->templates_size(); ++i) {
    if (zero_shot->templates(i).find("{}") != std::string::npos) continue;
    return {{absl::StrCat("evaluation.zero_shot.templates[", i, "]"),
             absl::StrCat("must contain {} for the name, is \"", zero_shot->templates(i), "\"")}};
  }
  return {};
}

}  // namespace navit
