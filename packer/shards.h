// From the shard patterns of a job file to a list of files.
#ifndef NAVIT_PACKER_SHARDS_H_
#define NAVIT_PACKER_SHARDS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace navit {

// The files that `pattern` names, sorted by name, without duplicates. A pattern is a path, a glob
// (`*`, `?`, `[..]`), either with `{00000..00999}` number ranges (leading zeros are kept) or
// `{a,b}` choices, or a folder, which means every `*.tar` directly in it.
//
// NotFound names the pattern: nothing matches, or a file that braces spell out does not exist.
// InvalidArgument: braces that do not close, an empty pattern, or more than 1,000,000 names.
absl::StatusOr<std::vector<std::string>> ExpandShardPattern(absl::string_view pattern);

}  // namespace navit

#endif  // NAVIT_PACKER_SHARDS_H_
