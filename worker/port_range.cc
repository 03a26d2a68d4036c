#include "worker/port_range.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace navit {

std::string PortRange::ToString() const { return absl::StrCat(first, "-", last); }

absl::StatusOr<PortRange> ParsePortRange(absl::string_view text) {
  PortRange range;
  if (text.empty()) return range;
  const std::pair<absl::string_view, absl::string_view> ends =
      absl::StrSplit(text, absl::MaxSplits('-', 1));
  if (!absl::SimpleAtoi(ends.first, &range.first) || !absl::SimpleAtoi(ends.second, &range.last) ||
      range.first < 1 || range.last > 65535 || range.first > range.last) {
    return absl::InvalidArgumentError(
        absl::StrCat("must be FIRST-LAST within 1 to 65535, is `", text, "`"));
  }
  return range;
}

}  // namespace navit
