// Names of shards: braces, URLs, percent signs.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "common/braces.h"
#include "common/object_store/url.h"

namespace {

using Names = std::vector<std::string>;

// More names are counted but not made.
constexpr uint64_t kMostMade = 4096;

void CheckExpansion(absl::string_view pattern) {
  const absl::StatusOr<uint64_t> count = navit::CountBraces(pattern);
  if (count.ok() && *count > kMostMade) return;
  const absl::StatusOr<Names> names = navit::ExpandBraces(pattern);
  if (names.status() != count.status()) std::abort();
  if (names.ok() && (names->size() != *count || names->empty())) std::abort();
}

// Escaped, no character means anything.
void CheckEscapes(absl::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\\') return;  // stays before what it does not escape
    if (c == '{' || c == '}' || c == ',') escaped += '\\';
    escaped += c;
  }
  const absl::StatusOr<Names> names = navit::ExpandBraces(escaped);
  if (!names.ok() || *names != Names{std::string(text)}) std::abort();
}

void CheckUrl(absl::string_view name) {
  const absl::StatusOr<navit::Url> url = navit::ParseUrl(name);
  if (!url.ok()) return;
  const bool file = url->scheme == "file";
  if (file != !navit::IsUrl(name)) std::abort();
  if (file ? url->path != name : url->host.empty()) std::abort();
  if (url->host.find('@') != std::string::npos) std::abort();
}

void CheckPercents(absl::string_view text) {
  for (const bool keep_slash : {false, true}) {
    if (navit::PercentDecode(navit::PercentEncode(text, keep_slash)) != text) std::abort();
  }
  if (navit::PercentDecode(text).size() > text.size()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  CheckExpansion(text);
  CheckEscapes(text);
  CheckUrl(text);
  CheckPercents(text);
  return 0;
}
