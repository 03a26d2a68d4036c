// From the shard patterns of a job file to a list of shards.
#ifndef NAVIT_PACKER_SHARDS_H_
#define NAVIT_PACKER_SHARDS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/object_store/object_store.h"

namespace navit {

// The shards that `pattern` names, sorted by name, without duplicates. A pattern is one of these,
// or several of them joined by "::", as WebDataset users write them:
//   a path, or an http(s):// or s3:// URL;
//   with {00000..00999} number ranges (leading zeros are kept) or {a,b} choices in it;
//   with wildcards (*, ?, [..]), for paths and s3;
//   a folder, for paths and s3, which means every *.tar directly in it.
//
// NotFound names the pattern: nothing matches, or a file that braces spell out does not exist (a
// URL that they spell out is looked for when it is indexed). InvalidArgument: braces that do not
// close, an empty pattern, wildcards or a folder over http, which has no listing, or more than
// 1,000,000 names. Other codes: ObjectStore.
absl::StatusOr<std::vector<std::string>> ExpandShardPattern(ObjectStore* store,
                                                            absl::string_view pattern);

}  // namespace navit

#endif  // NAVIT_PACKER_SHARDS_H_
