// From the shard patterns of a job file to a list of shards.
#ifndef NAVIT_PACKER_SHARDS_H_
#define NAVIT_PACKER_SHARDS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/object_store/object_store.h"

namespace navit {

// The shards that `pattern` names, sorted by name. A pattern is one of these:
//   a path, or an http(s):// or s3:// URL;
//   with braces in it, such as {00000..00999} (common/braces.h);
//   with wildcards (*, ?, [..]), for paths and s3;
//   a folder, for paths and s3, which means every *.tar directly in it.
// Several of them are joined by "::", as WebDataset users write them: the shards of the first, then
// those of the second that the first did not name, and so on.
//
// NotFound names the pattern: nothing matches, or a file that braces spell out does not exist (a
// URL that they spell out is looked for when it is indexed). InvalidArgument: ExpandBraces, an
// empty pattern, wildcards or a folder over http, which has no listing, or more than 1,000,000
// shards. Other codes: ObjectStore.
absl::StatusOr<std::vector<std::string>> ExpandShardPattern(ObjectStore* store,
                                                            absl::string_view pattern);

}  // namespace navit

#endif  // NAVIT_PACKER_SHARDS_H_
