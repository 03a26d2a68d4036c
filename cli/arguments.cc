#include "cli/arguments.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace navit {

absl::StatusOr<Arguments> Arguments::Parse(const std::vector<std::string>& words,
                                           const std::vector<std::string>& flags) {
  Arguments result;
  const auto knows = [&](const std::string& name) {
    return std::find(flags.begin(), flags.end(), name) != flags.end();
  };
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "--") {
      result.words_.insert(result.words_.end(), words.begin() + i + 1, words.end());
      break;
    }
    if (word == "-" || !absl::StartsWith(word, "-")) {
      result.words_.push_back(word);
      continue;
    }
    std::string name;
    std::string value;
    bool has_value = false;
    if (absl::StartsWith(word, "--")) {
      const size_t equals = word.find('=');
      name = word.substr(2, equals == std::string::npos ? equals : equals - 2);
      has_value = equals != std::string::npos;
      if (has_value) value = word.substr(equals + 1);
    } else {
      name = word.substr(1, 1);
      has_value = word.size() > 2;
      if (has_value) value = word.substr(2);
    }
    if (knows(name + "!")) {
      if (has_value) return absl::InvalidArgumentError(absl::StrCat(word, ": takes no value"));
    } else if (!knows(name)) {
      return absl::InvalidArgumentError(absl::StrCat(word, ": unknown flag"));
    } else if (!has_value) {
      if (++i == words.size()) {
        return absl::InvalidArgumentError(absl::StrCat(word, ": needs a value"));
      }
      value = words[i];
    }
    result.flags_[name].push_back(value);
  }
  return result;
}

bool Arguments::Has(absl::string_view flag) const { return flags_.count(std::string(flag)) > 0; }

std::string Arguments::Get(absl::string_view flag, absl::string_view otherwise) const {
  const auto found = flags_.find(std::string(flag));
  return found == flags_.end() ? std::string(otherwise) : found->second.back();
}

std::vector<std::string> Arguments::All(absl::string_view flag) const {
  const auto found = flags_.find(std::string(flag));
  return found == flags_.end() ? std::vector<std::string>() : found->second;
}

absl::StatusOr<double> Arguments::Number(absl::string_view flag, double otherwise) const {
  if (!Has(flag)) return otherwise;
  double value = 0;
  const std::string text = Get(flag, "");
  if (!absl::SimpleAtod(text, &value) || !std::isfinite(value) || value < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("--", flag, ": must be a number of at least 0, is `", text, "`"));
  }
  return value;
}

}  // namespace navit
