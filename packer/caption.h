// Captions: where a sample's are in its members.
#ifndef NAVIT_PACKER_CAPTION_H_
#define NAVIT_PACKER_CAPTION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "proto/data.pb.h"
#include "proto/job_spec.pb.h"

namespace navit {

// Which member holds the captions, and how.
struct CaptionField {
  enum Member { kTxt, kCls, kJson };
  Member member = kTxt;
  // kJson: names from the outermost object inwards.
  std::vector<std::string> path;
  // kTxt: every line is a caption.
  bool lines = false;
};

// captions.field "txt", "cls" or "json:NAME[.NAME...]", and captions.lines. InvalidArgument names
// the field.
absl::StatusOr<CaptionField> ParseCaptionField(const v1::CaptionsSpec& captions);

// The captions in the bytes of their member, in order, each trimmed of ASCII white space and not
// empty; at most kMaxCaptions. None when the member is larger than kMaxTextBytes, not valid UTF-8
// or not valid JSON.
std::vector<std::string> ExtractCaptions(const CaptionField& field, absl::string_view member);

// Where a sample's caption member lies in its shard; 0 bytes: it has none.
struct TextMember {
  uint64_t offset = 0;
  uint64_t bytes = 0;
  uint64_t hash = 0;
};
TextMember FindText(const v1::ShardIndex& index, int row, const CaptionField& field);

// The strings at `path` of the JSON object `json` (RFC 8259, checked whole, nesting up to 64):
// names lead from object to object, and through every element of a list on the way; what they lead
// to that is no string is passed over. At most kMaxCaptions. Nothing when the text is malformed, no
// object, or has a name of the path twice in one object. Escapes are resolved; a lone surrogate is
// malformed.
std::optional<std::vector<std::string>> JsonStrings(absl::string_view json,
                                                    absl::Span<const std::string> path);

// The same with numbers too, as they are written.
std::optional<std::vector<std::string>> JsonScalars(absl::string_view json,
                                                    absl::Span<const std::string> path);

// xxh3 (64 bits) of the caption's bytes; never 0, which stands for a hole.
uint64_t CaptionHash(absl::string_view caption);

}  // namespace navit

#endif  // NAVIT_PACKER_CAPTION_H_
