#include "common/braces.h"

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/status_macros.h"

namespace navit {
namespace {

constexpr absl::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

// FIRST..LAST..STEP, of numbers or of places in kLetters.
struct Range {
  int64_t first = 0;
  int64_t last = 0;
  int64_t step = 1;
  bool letters = false;
  // Numbers are filled up with zeros to so many characters.
  size_t width = 0;

  uint64_t count() const { return static_cast<uint64_t>(std::abs(last - first) / step) + 1; }
  std::string At(uint64_t i) const {
    const int64_t offset = static_cast<int64_t>(i) * step;
    const int64_t value = first <= last ? first + offset : first - offset;
    if (letters) return std::string(1, kLetters[static_cast<size_t>(value)]);
    const std::string sign = value < 0 ? "-" : "";
    const std::string digits = absl::StrCat(std::abs(value));
    const size_t used = sign.size() + digits.size();
    return absl::StrCat(sign, std::string(width > used ? width - used : 0, '0'), digits);
  }
};

// A part of a name: text, or a range, or else one of several sequences of parts.
struct Part {
  std::string text;
  std::optional<Range> range;
  std::vector<std::vector<Part>> choices;
};
using Sequence = std::vector<Part>;

void AppendText(absl::string_view text, Sequence* sequence) {
  if (text.empty()) return;
  if (sequence->empty() || sequence->back().text.empty()) sequence->emplace_back();
  absl::StrAppend(&sequence->back().text, text);
}

// How many names, and the length of the longest.
struct Size {
  uint64_t names = 1;
  uint64_t longest = 0;
};

// Stops growing once it is over the limit.
Size SizeOf(const Sequence& sequence) {
  Size size;
  for (const Part& part : sequence) {
    Size one = {1, part.text.size()};
    if (part.range.has_value()) {
      one = {part.range->count(), std::max<uint64_t>(part.range->width, 20)};
    } else if (!part.choices.empty()) {
      one.names = 0;
      for (const Sequence& choice : part.choices) {
        const Size of_choice = SizeOf(choice);
        one.names += of_choice.names;
        one.longest = std::max(one.longest, of_choice.longest);
      }
    }
    one.names = std::min(one.names, kMostBraceNames + 1);
    size.names = std::min(size.names * one.names, kMostBraceNames + 1);
    size.longest += one.longest;
  }
  return size;
}

std::vector<std::string> Expand(const Sequence& sequence) {
  std::vector<std::string> names = {""};
  for (const Part& part : sequence) {
    if (!part.text.empty()) {
      for (std::string& name : names) name += part.text;
      continue;
    }
    std::vector<std::string> endings;
    if (part.range.has_value()) {
      for (uint64_t i = 0; i < part.range->count(); ++i) endings.push_back(part.range->At(i));
    }
    for (const Sequence& choice : part.choices) {
      std::vector<std::string> more = Expand(choice);
      std::move(more.begin(), more.end(), std::back_inserter(endings));
    }
    std::vector<std::string> longer;
    longer.reserve(names.size() * endings.size());
    for (const std::string& name : names) {
      for (const std::string& ending : endings) longer.push_back(name + ending);
    }
    names = std::move(longer);
  }
  return names;
}

// Whether a shell would fill numbers up with zeros for this end of a range.
bool IsPadded(absl::string_view number) {
  if (number[0] == '-') number.remove_prefix(1);
  return number.size() > 1 && number[0] == '0';
}

bool ParseNumber(absl::string_view text, int64_t* value) {
  const absl::string_view digits = text.substr(text.substr(0, 1) == "-" ? 1 : 0);
  return !digits.empty() && digits.size() <= 18 &&
         std::all_of(digits.begin(), digits.end(), absl::ascii_isdigit) &&
         absl::SimpleAtoi(text, value);
}

// nullopt: `inside` is no range.
std::optional<Range> ParseRange(absl::string_view inside) {
  const std::vector<absl::string_view> ends = absl::StrSplit(inside, "..");
  if (ends.size() != 2 && ends.size() != 3) return std::nullopt;
  Range range;
  if (ends.size() == 3 && !ParseNumber(ends[2], &range.step)) return std::nullopt;
  // Its sign says nothing: the ends give the direction.
  range.step = std::abs(range.step);
  if (range.step == 0) return std::nullopt;
  if (ParseNumber(ends[0], &range.first) && ParseNumber(ends[1], &range.last)) {
    if (IsPadded(ends[0]) || IsPadded(ends[1])) {
      range.width = std::max(ends[0].size(), ends[1].size());
    }
    return range;
  }
  range.letters = true;
  for (const auto& [text, place] : {std::pair{ends[0], &range.first}, {ends[1], &range.last}}) {
    if (text.size() != 1 || !absl::ascii_isalpha(text[0])) return std::nullopt;
    *place = static_cast<int64_t>(kLetters.find(text[0]));
  }
  return range;
}

class Parser {
 public:
  explicit Parser(absl::string_view pattern) : pattern_(pattern) {}

  absl::StatusOr<Sequence> Parse() {
    NAVIT_ASSIGN_OR_RETURN(Sequence sequence, ParseSequence(0));
    if (at_ < pattern_.size()) return Invalid(at_, "this } closes nothing");
    return sequence;
  }

 private:
  // Up to the end, a } or, within a group, a comma, which stay.
  absl::StatusOr<Sequence> ParseSequence(int depth) {
    Sequence sequence;
    while (at_ < pattern_.size()) {
      const char c = pattern_[at_];
      const absl::string_view pair = pattern_.substr(at_, 2);
      if (c == '}' || (c == ',' && depth > 0)) break;
      if (c == '{') {
        NAVIT_RETURN_IF_ERROR(ParseGroup(depth + 1, &sequence));
      } else if (pair == "\\{" || pair == "\\}" || pair == "\\,") {
        AppendText(pair.substr(1), &sequence);
        at_ += 2;
      } else {
        // Any other backslash is for whoever reads the name; it never escapes one of ours.
        const absl::string_view text = pair == "\\\\" ? pair : pair.substr(0, 1);
        AppendText(text, &sequence);
        at_ += text.size();
      }
    }
    return sequence;
  }

  absl::Status ParseGroup(int depth, Sequence* sequence) {
    const size_t open = at_;
    if (depth > kDeepestBraces) {
      return Invalid(open, absl::StrCat("braces more than ", kDeepestBraces, " deep"));
    }
    Part group;
    do {
      ++at_;  // the { or a comma
      NAVIT_ASSIGN_OR_RETURN(Sequence choice, ParseSequence(depth));
      group.choices.push_back(std::move(choice));
      if (at_ == pattern_.size()) return Invalid(open, "this { is not closed");
    } while (pattern_[at_] == ',');
    const absl::string_view inside = pattern_.substr(open + 1, at_ - open - 1);
    ++at_;
    if (group.choices.size() > 1) {
      sequence->push_back(std::move(group));
      return absl::OkStatus();
    }
    if (std::optional<Range> range = ParseRange(inside); range.has_value()) {
      sequence->push_back({"", range, {}});
      return absl::OkStatus();
    }
    if (inside.find("..") != absl::string_view::npos && inside.find('{') == inside.npos) {
      return Invalid(open, absl::StrCat("{", inside, "} is no range of numbers or letters"));
    }
    AppendText("{", sequence);
    for (Part& part : group.choices[0]) {
      if (part.text.empty()) {
        sequence->push_back(std::move(part));
      } else {
        AppendText(part.text, sequence);
      }
    }
    AppendText("}", sequence);
    return absl::OkStatus();
  }

  absl::Status Invalid(size_t at, absl::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat(pattern_, ": character ", at + 1, ": ", what));
  }

  const absl::string_view pattern_;
  size_t at_ = 0;
};

absl::StatusOr<Sequence> Parse(absl::string_view pattern) {
  NAVIT_ASSIGN_OR_RETURN(Sequence sequence, Parser(pattern).Parse());
  const Size size = SizeOf(sequence);
  if (size.names > kMostBraceNames) {
    return absl::InvalidArgumentError(
        absl::StrCat(pattern, ": its braces make more than ", kMostBraceNames, " names"));
  }
  if (size.names > 1 && size.names * size.longest > kMostBraceBytes) {
    return absl::InvalidArgumentError(absl::StrCat(pattern,
                                                   ": the names that its braces make have ",
                                                   "more than ", kMostBraceBytes, " bytes"));
  }
  return sequence;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ExpandBraces(absl::string_view pattern) {
  NAVIT_ASSIGN_OR_RETURN(const Sequence sequence, Parse(pattern));
  return Expand(sequence);
}

absl::StatusOr<uint64_t> CountBraces(absl::string_view pattern) {
  NAVIT_ASSIGN_OR_RETURN(const Sequence sequence, Parse(pattern));
  return SizeOf(sequence).names;
}

}  // namespace navit
