#include "packer/caption.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "packer/limits.h"
#include "packer/utf8.h"

namespace navit {
namespace {

void AddCaption(absl::string_view text, std::vector<std::string>* captions) {
  const absl::string_view trimmed = absl::StripAsciiWhitespace(text);
  if (!trimmed.empty() && captions->size() < kMaxCaptions) captions->emplace_back(trimmed);
}

}  // namespace

absl::StatusOr<CaptionField> ParseCaptionField(const v1::CaptionsSpec& captions) {
  CaptionField parsed;
  const absl::string_view field = captions.field();
  parsed.lines = captions.lines();
  if (field == "txt") return parsed;
  if (parsed.lines) {
    return absl::InvalidArgumentError("captions.lines: only a txt member has lines");
  }
  if (field == "cls") {
    parsed.member = CaptionField::kCls;
    return parsed;
  }
  if (field.substr(0, 5) == "json:") {
    parsed.member = CaptionField::kJson;
    parsed.path = absl::StrSplit(field.substr(5), '.');
    const auto empty = [](const std::string& name) { return name.empty(); };
    if (std::none_of(parsed.path.begin(), parsed.path.end(), empty)) return parsed;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("captions.field: must be txt, cls or json:NAME, is \"", field, "\""));
}

std::vector<std::string> ExtractCaptions(const CaptionField& field, absl::string_view member) {
  std::vector<std::string> captions;
  if (member.size() > kMaxTextBytes) return captions;
  if (field.member == CaptionField::kJson) {
    const auto found = JsonStrings(member, field.path);
    if (!found.has_value()) return captions;
    for (const std::string& text : *found) AddCaption(text, &captions);
    return captions;
  }
  if (!IsValidUtf8(member)) return captions;
  if (field.lines) {
    for (const absl::string_view line : absl::StrSplit(member, '\n')) AddCaption(line, &captions);
  } else {
    AddCaption(member, &captions);
  }
  return captions;
}

TextMember FindText(const v1::ShardIndex& index, int row, const CaptionField& field) {
  switch (field.member) {
    case CaptionField::kTxt:
      return {index.txt_offsets(row), index.txt_bytes(row), index.txt_hashes(row)};
    case CaptionField::kCls:
      return {index.cls_offsets(row), index.cls_bytes(row), index.cls_hashes(row)};
    case CaptionField::kJson:
      return {index.json_offsets(row), index.json_bytes(row), index.json_hashes(row)};
  }
  return {};
}

uint64_t CaptionHash(absl::string_view caption) {
  const uint64_t hash = XXH3_64bits(caption.data(), caption.size());
  return hash == 0 ? 1 : hash;
}

}  // namespace navit
