#include "packer/label.h"

#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "packer/limits.h"

namespace navit {
namespace {

// The whole number in the member; nullopt: none, something else, or several.
std::optional<uint64_t> FindNumber(const CaptionField& field, absl::string_view member) {
  if (member.size() > kMaxTextBytes) return std::nullopt;
  std::string text(member);
  if (field.member == CaptionField::kJson) {
    auto found = JsonScalars(member, field.path);
    if (!found.has_value() || found->size() != 1) return std::nullopt;
    text = std::move(found->front());
  }
  uint64_t number = 0;
  if (!absl::SimpleAtoi(absl::StripAsciiWhitespace(text), &number)) return std::nullopt;
  return number;
}

}  // namespace

absl::StatusOr<std::optional<LabelReader>> LabelReader::Create(const v1::LabelsSpec& labels,
                                                               uint32_t classes) {
  if (labels.field().empty()) return std::nullopt;
  v1::CaptionsSpec as_captions;
  as_captions.set_field(labels.field());
  LabelReader reader;
  NAVIT_ASSIGN_OR_RETURN(reader.field, ParseCaptionField(as_captions));
  if (reader.field.member == CaptionField::kTxt) {
    return absl::InvalidArgumentError("labels.field: must be cls or json:NAME, is \"txt\"");
  }
  if (classes == 0) return absl::InvalidArgumentError("model.classes: is required with labels");
  reader.classes = classes;
  reader.fail_without = labels.if_missing() == v1::CaptionsSpec::FAIL;
  return reader;
}

absl::StatusOr<std::optional<uint32_t>> LabelReader::Read(absl::string_view member,
                                                          absl::string_view sample) const {
  const std::optional<uint64_t> label = FindNumber(field, member);
  if (label.has_value() && *label < classes) return static_cast<uint32_t>(*label);
  if (label.has_value()) {
    return absl::FailedPreconditionError(absl::StrCat(
        sample, " has label ", *label, "; labels are below model.classes, which is ", classes));
  }
  if (fail_without) {
    return absl::FailedPreconditionError(
        absl::StrCat(sample, " has no label, and labels.if_missing is fail"));
  }
  return std::nullopt;
}

}  // namespace navit
