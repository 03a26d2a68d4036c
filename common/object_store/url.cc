#include "common/object_store/url.h"

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace navit {
namespace {

constexpr absl::string_view kSeparator = "://";

}  // namespace

bool IsUrl(absl::string_view name) {
  const size_t at = name.find(kSeparator);
  if (at == absl::string_view::npos || at == 0 || !absl::ascii_isalpha(name[0])) return false;
  for (const char c : name.substr(0, at)) {
    if (!absl::ascii_isalnum(c) && c != '+' && c != '-' && c != '.') return false;
  }
  return true;
}

absl::StatusOr<Url> ParseUrl(absl::string_view name) {
  Url url;
  if (!IsUrl(name)) {
    url.scheme = "file";
    url.path = std::string(name);
    return url;
  }
  const size_t at = name.find(kSeparator);
  url.scheme = absl::AsciiStrToLower(name.substr(0, at));
  if (url.scheme != "http" && url.scheme != "https" && url.scheme != "s3") {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": unknown scheme; known are paths, http://, https:// and s3://"));
  }
  const absl::string_view rest = name.substr(at + kSeparator.size());
  const size_t slash = rest.find('/');
  url.host = std::string(rest.substr(0, slash));
  if (url.host.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": names no ", url.scheme == "s3" ? "bucket" : "host"));
  }
  if (absl::StrContains(url.host, '@')) {
    return absl::InvalidArgumentError(
        absl::StrCat(url.scheme, "://…: credentials must not stand in a URL"));
  }
  if (url.scheme == "s3") {
    url.path = slash == absl::string_view::npos ? "" : std::string(rest.substr(slash + 1));
  } else {
    url.path = slash == absl::string_view::npos ? "/" : std::string(rest.substr(slash));
  }
  return url;
}

std::string JoinUrl(absl::string_view folder, absl::string_view name) {
  return absl::StrCat(folder, absl::EndsWith(folder, "/") ? "" : "/", name);
}

std::string PercentEncode(absl::string_view text, bool keep_slash) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    if (absl::ascii_isalnum(c) || c == '-' || c == '.' || c == '_' || c == '~' ||
        (c == '/' && keep_slash)) {
      encoded += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      encoded += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return encoded;
}

std::string PercentDecode(absl::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && absl::ascii_isxdigit(text[i + 1]) &&
        absl::ascii_isxdigit(text[i + 2])) {
      decoded += absl::HexStringToBytes(text.substr(i + 1, 2));
      i += 2;
    } else {
      decoded += text[i] == '+' ? ' ' : text[i];
    }
  }
  return decoded;
}

}  // namespace navit
