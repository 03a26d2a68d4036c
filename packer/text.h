// Captions: where they are, what they mean as tokens.
#ifndef NAVIT_PACKER_TEXT_H_
#define NAVIT_PACKER_TEXT_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace navit {

// The byte tokenizer: begin, end, and every byte b of the UTF-8 text as b + 2.
inline constexpr uint32_t kBeginToken = 0;
inline constexpr uint32_t kEndToken = 1;
inline constexpr uint32_t kByteVocabulary = 258;

// Which member holds the caption: captions.field.
struct CaptionField {
  enum Member { kTxt, kCls, kJson };
  Member member = kTxt;
  // kJson: name of the string field.
  std::string name;
};

// "txt", "cls" or "json:NAME". InvalidArgument names captions.field.
absl::StatusOr<CaptionField> ParseCaptionField(absl::string_view field);

// The caption in the bytes of its member: trimmed of ASCII white space. Nothing when there is none:
// empty after trimming, not valid UTF-8, no JSON object, no such string field, or larger than
// kMaxTextBytes.
std::optional<std::string> ExtractCaption(const CaptionField& field, absl::string_view member);

// The string value of the field `name` of the JSON object `json` (RFC 8259, checked whole, nesting
// up to 64). Nothing when the text is malformed, no object, has no such field, has it twice, or its
// value is no string. Escapes are resolved; a lone surrogate is malformed.
std::optional<std::string> JsonStringField(absl::string_view json, absl::string_view name);

// Appends uint16 little-endian token ids to `ids` and returns their number: begin, as many bytes as
// fit, end; at most max_tokens >= 2. A character that does not fit whole is left out whole.
uint32_t AppendByteTokens(absl::string_view caption, uint32_t max_tokens, std::string* ids);

// xxh3 (64 bits) of the caption's bytes; never 0, which stands for a hole.
uint64_t CaptionHash(absl::string_view caption);

}  // namespace navit

#endif  // NAVIT_PACKER_TEXT_H_
