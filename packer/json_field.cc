// A strict reader of the strings and numbers at one path of a JSON object.
#include <cstddef>
#include <cstdint>
#include <utility>

#include "packer/caption.h"
#include "packer/limits.h"
#include "packer/utf8.h"

namespace navit {
namespace {

constexpr int kDeepest = 64;

void AppendUtf8(uint32_t point, std::string* out) {
  if (point < 0x80) {
    out->push_back(static_cast<char>(point));
  } else if (point < 0x800) {
    out->push_back(static_cast<char>(0xC0 | point >> 6));
    out->push_back(static_cast<char>(0x80 | (point & 0x3F)));
  } else if (point < 0x10000) {
    out->push_back(static_cast<char>(0xE0 | point >> 12));
    out->push_back(static_cast<char>(0x80 | (point >> 6 & 0x3F)));
    out->push_back(static_cast<char>(0x80 | (point & 0x3F)));
  } else {
    out->push_back(static_cast<char>(0xF0 | point >> 18));
    out->push_back(static_cast<char>(0x80 | (point >> 12 & 0x3F)));
    out->push_back(static_cast<char>(0x80 | (point >> 6 & 0x3F)));
    out->push_back(static_cast<char>(0x80 | (point & 0x3F)));
  }
}

// Each method consumes what it names; false: malformed.
class Reader {
 public:
  Reader(absl::string_view text, absl::Span<const std::string> path, bool numbers,
         std::vector<std::string>* found)
      : rest_(text), path_(path), numbers_(numbers), found_(*found) {}

  // The whole text: an object.
  bool Document() {
    Space();
    if (rest_.empty() || rest_[0] != '{' || !Value(0, 0)) return false;
    Space();
    return rest_.empty();
  }

 private:
  void Space() {
    const size_t other = rest_.find_first_not_of(" \t\r\n");
    rest_.remove_prefix(other == absl::string_view::npos ? rest_.size() : other);
  }
  bool Take(char c) {
    if (rest_.empty() || rest_[0] != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool Word(absl::string_view word) {
    if (rest_.substr(0, word.size()) != word) return false;
    rest_.remove_prefix(word.size());
    return true;
  }

  // Members of an object behind its brace; `value` consumes each value.
  template <typename ValueReader>
  bool Members(ValueReader value) {
    Space();
    if (Take('}')) return true;
    do {
      std::string key;
      Space();
      if (!String(&key)) return false;
      Space();
      if (!Take(':')) return false;
      Space();
      if (!value(key)) return false;
      Space();
    } while (Take(','));
    return Take('}');
  }

  // Not on the path: checked and passed over.
  static constexpr size_t kElsewhere = ~size_t{0};

  // A value to which the first `matched` names of the path lead.
  bool Value(int depth, size_t matched) {
    if (depth > kDeepest || rest_.empty()) return false;
    switch (rest_[0]) {
      case '{': {
        Take('{');
        int seen = 0;
        return Members([&](const std::string& key) {
          const bool next = matched < path_.size() && key == path_[matched];
          // Which of two is meant, nobody can say.
          if (next && ++seen > 1) return false;
          return Value(depth + 1, next ? matched + 1 : kElsewhere);
        });
      }
      case '[':
        Take('[');
        Space();
        if (Take(']')) return true;
        do {
          Space();
          if (!Value(depth + 1, matched)) return false;
          Space();
        } while (Take(','));
        return Take(']');
      case '"': {
        std::string text;
        if (!String(&text)) return false;
        if (matched == path_.size()) Found(std::move(text));
        return true;
      }
      case 't':
        return Word("true");
      case 'f':
        return Word("false");
      case 'n':
        return Word("null");
      default: {
        const absl::string_view before = rest_;
        if (!Number()) return false;
        if (numbers_ && matched == path_.size()) {
          Found(std::string(before.substr(0, before.size() - rest_.size())));
        }
        return true;
      }
    }
  }

  void Found(std::string text) {
    if (found_.size() < kMaxCaptions) found_.push_back(std::move(text));
  }

  bool Digits() {
    const size_t other = rest_.find_first_not_of("0123456789");
    const size_t count = other == absl::string_view::npos ? rest_.size() : other;
    rest_.remove_prefix(count);
    return count > 0;
  }
  bool Number() {
    Take('-');
    if (!Take('0') && !Digits()) return false;
    if (Take('.') && !Digits()) return false;
    if (Take('e') || Take('E')) {
      if (!Take('+')) Take('-');
      return Digits();
    }
    return true;
  }

  bool Hex4(uint32_t* unit) {
    if (rest_.size() < 4) return false;
    *unit = 0;
    for (int i = 0; i < 4; ++i) {
      const char c = rest_[i];
      uint32_t digit;
      if (c >= '0' && c <= '9') {
        digit = static_cast<uint32_t>(c - '0');
      } else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')) {
        digit = static_cast<uint32_t>((c | 0x20) - 'a' + 10);
      } else {
        return false;
      }
      *unit = *unit << 4 | digit;
    }
    rest_.remove_prefix(4);
    return true;
  }
  bool Escape(std::string* out) {
    if (rest_.empty()) return false;
    const char c = rest_[0];
    rest_.remove_prefix(1);
    switch (c) {
      case '"':
      case '\\':
      case '/':
        out->push_back(c);
        return true;
      case 'b':
        out->push_back('\b');
        return true;
      case 'f':
        out->push_back('\f');
        return true;
      case 'n':
        out->push_back('\n');
        return true;
      case 'r':
        out->push_back('\r');
        return true;
      case 't':
        out->push_back('\t');
        return true;
      case 'u':
        break;
      default:
        return false;
    }
    uint32_t unit = 0;
    if (!Hex4(&unit)) return false;
    if (unit >= 0xD800 && unit < 0xDC00) {
      uint32_t low = 0;
      if (!Word("\\u") || !Hex4(&low) || low < 0xDC00 || low > 0xDFFF) return false;
      unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
    } else if (unit >= 0xDC00 && unit <= 0xDFFF) {
      return false;
    }
    AppendUtf8(unit, out);
    return true;
  }
  bool String(std::string* out) {
    if (!Take('"')) return false;
    while (!rest_.empty()) {
      if (Take('"')) return true;
      if (Take('\\')) {
        if (!Escape(out)) return false;
        continue;
      }
      if (static_cast<uint8_t>(rest_[0]) < 0x20) return false;
      const size_t length = Utf8CharacterLength(rest_);
      if (length == 0) return false;
      out->append(rest_.data(), length);
      rest_.remove_prefix(length);
    }
    return false;
  }

  absl::string_view rest_;
  const absl::Span<const std::string> path_;
  // Numbers are found too.
  const bool numbers_;
  std::vector<std::string>& found_;
};

std::optional<std::vector<std::string>> Find(absl::string_view json,
                                             absl::Span<const std::string> path, bool numbers) {
  std::vector<std::string> found;
  if (!Reader(json, path, numbers, &found).Document()) return std::nullopt;
  return found;
}

}  // namespace

std::optional<std::vector<std::string>> JsonStrings(absl::string_view json,
                                                    absl::Span<const std::string> path) {
  return Find(json, path, /*numbers=*/false);
}

std::optional<std::vector<std::string>> JsonScalars(absl::string_view json,
                                                    absl::Span<const std::string> path) {
  return Find(json, path, /*numbers=*/true);
}

}  // namespace navit
