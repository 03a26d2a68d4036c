#include "packer/shards.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/object_store/url.h"
#include "common/status_macros.h"

namespace navit {
namespace {

constexpr size_t kMostNames = 1000000;

bool AllDigits(absl::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == absl::string_view::npos;
}

// The choices between one pair of braces: a number range FIRST..LAST or a list A,B,…
absl::StatusOr<std::vector<std::string>> Choices(absl::string_view pattern,
                                                 absl::string_view inside) {
  const size_t dots = inside.find("..");
  if (dots == absl::string_view::npos) {
    return std::vector<std::string>(absl::StrSplit(inside, ','));
  }
  const absl::string_view first_text = inside.substr(0, dots);
  const absl::string_view last_text = inside.substr(dots + 2);
  uint64_t first = 0;
  uint64_t last = 0;
  if (!AllDigits(first_text) || !AllDigits(last_text) || !absl::SimpleAtoi(first_text, &first) ||
      !absl::SimpleAtoi(last_text, &last) || last < first) {
    return absl::InvalidArgumentError(
        absl::StrCat(pattern, ": {", inside, "} is no range of numbers"));
  }
  if (last - first >= kMostNames) {
    return absl::InvalidArgumentError(
        absl::StrCat(pattern, ": names more than ", kMostNames, " files"));
  }
  // Numbers are as wide as the wider end where an end has leading zeros, as in a shell.
  const bool padded = (first_text.size() > 1 && first_text[0] == '0') ||
                      (last_text.size() > 1 && last_text[0] == '0');
  const size_t width = padded ? std::max(first_text.size(), last_text.size()) : 0;
  std::vector<std::string> numbers;
  for (uint64_t n = first; n <= last; ++n) {
    const std::string digits = absl::StrCat(n);
    numbers.push_back(std::string(width > digits.size() ? width - digits.size() : 0, '0') + digits);
  }
  return numbers;
}

absl::StatusOr<std::vector<std::string>> ExpandBraces(absl::string_view pattern) {
  std::vector<std::string> names = {""};
  absl::string_view rest = pattern;
  while (true) {
    const size_t open = rest.find_first_of("{}");
    for (std::string& name : names) absl::StrAppend(&name, rest.substr(0, open));
    if (open == absl::string_view::npos) return names;
    const size_t close = rest.find_first_of("{}", open + 1);
    if (rest[open] == '}' || close == absl::string_view::npos || rest[close] == '{') {
      return absl::InvalidArgumentError(
          absl::StrCat(pattern, ": braces must come in pairs and not lie in one another"));
    }
    NAVIT_ASSIGN_OR_RETURN(const std::vector<std::string> choices,
                           Choices(pattern, rest.substr(open + 1, close - open - 1)));
    if (names.size() * choices.size() > kMostNames) {
      return absl::InvalidArgumentError(
          absl::StrCat(pattern, ": names more than ", kMostNames, " files"));
    }
    std::vector<std::string> longer;
    longer.reserve(names.size() * choices.size());
    for (const std::string& name : names) {
      for (const std::string& choice : choices) longer.push_back(name + choice);
    }
    names = std::move(longer);
    rest.remove_prefix(close + 1);
  }
}

enum class Kind { kAbsent, kFile, kFolder };

Kind KindOf(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return Kind::kAbsent;
  return S_ISDIR(info.st_mode) ? Kind::kFolder : Kind::kFile;
}

// `text` with the special characters of globs escaped.
std::string Literally(absl::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '*' || c == '?' || c == '[' || c == ']' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

bool HasWildcard(absl::string_view name) {
  return name.find_first_of("*?[") != absl::string_view::npos;
}

absl::Status NoSuchShard(absl::string_view pattern, absl::string_view name) {
  return absl::NotFoundError(name == pattern ? absl::StrCat(pattern, ": no such shard")
                                             : absl::StrCat(pattern, ": no such shard: ", name));
}

absl::StatusOr<std::vector<std::string>> TarFilesIn(ObjectStore* store, absl::string_view pattern,
                                                    absl::string_view folder) {
  NAVIT_ASSIGN_OR_RETURN(std::vector<std::string> files,
                         store->Glob(JoinUrl(Literally(folder), "*.tar")));
  if (files.empty()) {
    return absl::NotFoundError(absl::StrCat(pattern, ": no *.tar in folder ", folder));
  }
  return files;
}

// The shards of one name whose braces were expanded.
absl::StatusOr<std::vector<std::string>> ExpandPath(ObjectStore* store, absl::string_view pattern,
                                                    const std::string& name) {
  switch (KindOf(name)) {
    case Kind::kFile:
      return std::vector<std::string>{name};
    case Kind::kFolder:
      return TarFilesIn(store, pattern, name);
    case Kind::kAbsent:
      break;
  }
  if (!HasWildcard(name)) return NoSuchShard(pattern, name);
  NAVIT_ASSIGN_OR_RETURN(std::vector<std::string> files, store->Glob(name));
  if (files.empty()) return NoSuchShard(pattern, name);
  return files;
}

absl::StatusOr<std::vector<std::string>> ExpandUrl(ObjectStore* store, absl::string_view pattern,
                                                   const std::string& name) {
  NAVIT_ASSIGN_OR_RETURN(const Url url, ParseUrl(name));
  if (url.scheme != "s3") {
    // What follows "?" is a query.
    const absl::string_view path = absl::string_view(url.path).substr(0, url.path.find('?'));
    if (HasWildcard(path) || absl::EndsWith(path, "/")) {
      return absl::InvalidArgumentError(
          absl::StrCat(pattern,
                       ": http has no listing, so neither wildcards nor folders: spell the "
                       "names out, as in {00000..00999}.tar"));
    }
    return std::vector<std::string>{name};
  }
  if (HasWildcard(url.path)) {
    NAVIT_ASSIGN_OR_RETURN(std::vector<std::string> objects, store->Glob(name));
    if (objects.empty()) return NoSuchShard(pattern, name);
    return objects;
  }
  if (url.path.empty() || url.path.back() == '/') return TarFilesIn(store, pattern, name);
  // Of a long list it shows when it is indexed; a single name may also be a folder's.
  if (name != pattern) return std::vector<std::string>{name};
  const absl::Status found = store->Stat(name).status();
  if (found.ok()) return std::vector<std::string>{name};
  if (!absl::IsNotFound(found)) return found;
  NAVIT_ASSIGN_OR_RETURN(std::vector<std::string> objects,
                         store->Glob(JoinUrl(Literally(name), "*.tar")));
  if (objects.empty()) return NoSuchShard(pattern, name);
  return objects;
}

absl::StatusOr<std::vector<std::string>> ExpandOne(ObjectStore* store, absl::string_view pattern) {
  // A file or folder of exactly this name wins over what its characters could mean.
  std::vector<std::string> names = {std::string(pattern)};
  if (IsUrl(pattern) || KindOf(names[0]) == Kind::kAbsent) {
    NAVIT_ASSIGN_OR_RETURN(names, ExpandBraces(pattern));
  }
  std::vector<std::string> shards;
  for (const std::string& name : names) {
    NAVIT_ASSIGN_OR_RETURN(
        const std::vector<std::string> more,
        IsUrl(name) ? ExpandUrl(store, pattern, name) : ExpandPath(store, pattern, name));
    shards.insert(shards.end(), more.begin(), more.end());
  }
  return shards;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ExpandShardPattern(ObjectStore* store,
                                                            absl::string_view pattern) {
  if (pattern.empty()) return absl::InvalidArgumentError("shards: the pattern is empty");
  std::vector<std::string> shards;
  for (const absl::string_view one : absl::StrSplit(pattern, "::")) {
    if (one.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(pattern, ": nothing beside a ::"));
    }
    NAVIT_ASSIGN_OR_RETURN(const std::vector<std::string> more, ExpandOne(store, one));
    shards.insert(shards.end(), more.begin(), more.end());
  }
  std::sort(shards.begin(), shards.end());
  shards.erase(std::unique(shards.begin(), shards.end()), shards.end());
  return shards;
}

}  // namespace navit
