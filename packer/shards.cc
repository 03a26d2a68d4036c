#include "packer/shards.h"

#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/braces.h"
#include "common/object_store/url.h"
#include "common/status_macros.h"

namespace navit {
namespace {

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
  absl::flat_hash_set<std::string> seen;
  for (const absl::string_view one : absl::StrSplit(pattern, "::")) {
    if (one.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(pattern, ": nothing beside a ::"));
    }
    NAVIT_ASSIGN_OR_RETURN(std::vector<std::string> names, ExpandOne(store, one));
    std::sort(names.begin(), names.end());
    for (std::string& name : names) {
      if (seen.insert(name).second) shards.push_back(std::move(name));
    }
    if (shards.size() > kMostBraceNames) {
      return absl::InvalidArgumentError(
          absl::StrCat(pattern, ": names more than ", kMostBraceNames, " shards"));
    }
  }
  return shards;
}

}  // namespace navit
