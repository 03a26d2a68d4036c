#include "packer/text.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cstddef>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "packer/limits.h"
#include "packer/utf8.h"

namespace navit {

absl::StatusOr<CaptionField> ParseCaptionField(absl::string_view field) {
  if (field == "txt") return CaptionField{CaptionField::kTxt, ""};
  if (field == "cls") return CaptionField{CaptionField::kCls, ""};
  if (field.substr(0, 5) == "json:" && field.size() > 5) {
    return CaptionField{CaptionField::kJson, std::string(field.substr(5))};
  }
  return absl::InvalidArgumentError(
      absl::StrCat("captions.field: must be txt, cls or json:NAME, is \"", field, "\""));
}

std::optional<std::string> ExtractCaption(const CaptionField& field, absl::string_view member) {
  if (member.size() > kMaxTextBytes) return std::nullopt;
  std::optional<std::string> caption;
  if (field.member == CaptionField::kJson) {
    caption = JsonStringField(member, field.name);
    if (!caption.has_value()) return std::nullopt;
  } else {
    if (!IsValidUtf8(member)) return std::nullopt;
    caption = std::string(member);
  }
  const absl::string_view trimmed = absl::StripAsciiWhitespace(*caption);
  if (trimmed.empty()) return std::nullopt;
  return std::string(trimmed);
}

uint32_t AppendByteTokens(absl::string_view caption, uint32_t max_tokens, std::string* ids) {
  size_t bytes = std::min<size_t>(caption.size(), max_tokens - 2);
  // A continuation byte behind the cut means that the cut is inside a character.
  while (bytes > 0 && bytes < caption.size() && (caption[bytes] & 0xC0) == 0x80) --bytes;
  const auto append = [ids](uint32_t id) {
    ids->push_back(static_cast<char>(id));
    ids->push_back(static_cast<char>(id >> 8));
  };
  append(kBeginToken);
  for (size_t i = 0; i < bytes; ++i) append(static_cast<uint8_t>(caption[i]) + 2u);
  append(kEndToken);
  return static_cast<uint32_t>(bytes + 2);
}

uint64_t CaptionHash(absl::string_view caption) {
  const uint64_t hash = XXH3_64bits(caption.data(), caption.size());
  return hash == 0 ? 1 : hash;
}

}  // namespace navit
