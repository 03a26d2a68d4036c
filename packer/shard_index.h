// The sidecar index of a WebDataset tar shard: built in one pass over the file, written beside it,
// read again by every job (DESIGN.md, section 3, point 1).
#ifndef NAVIT_PACKER_SHARD_INDEX_H_
#define NAVIT_PACKER_SHARD_INDEX_H_

#include <cstdint>
#include <functional>
#include <limits>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/object_store/object_store.h"
#include "proto/data.pb.h"

namespace navit {

inline constexpr uint32_t kShardIndexFormatVersion = 2;

inline constexpr uint64_t kWholeShard = std::numeric_limits<uint64_t>::max();

// Called after each member with the bytes of the shard that were read so far.
using IndexProgress = std::function<void(uint64_t bytes_read)>;

// `store` reads and writes shards and sidecars, wherever they are: paths, http(s), s3.
//
// Reads the tar file `shard` once, front to back. Members are grouped by key: the path up to the
// first dot of its last component. Members used: jpg, jpeg, png, webp (image), txt, json, cls; any
// other is passed over. Images are not decoded: a header that cannot be read gives width 0.
//
// Errors of ObjectStore name the shard. InvalidArgument names shard and byte offset: not a tar
// file, truncated, bad header checksum, two members of one key and kind, a key that comes back
// after other keys, a sparse member, a link in place of a member that is used; or "no samples".
//
// `most_bytes`: ends with the first whole sample behind so many bytes of the shard. `shard_bytes`
// of such an index is the whole shard's, `shard_hash` that of what was read.
absl::StatusOr<v1::ShardIndex> BuildShardIndex(ObjectStore* store, const std::string& shard,
                                               const IndexProgress& progress = nullptr,
                                               uint64_t most_bytes = kWholeShard);

// FOLDER/NAME.navit-index, or SHARD.navit-index when `index_folder` is empty. In a folder NAME
// holds a hash of the shard's path, so that equal file names of different folders do not meet.
std::string SidecarPath(absl::string_view shard, absl::string_view index_folder);

// Serialises `index` and writes it, whole or not at all. The status names the file;
// ResourceExhausted: no space left.
absl::Status WriteShardIndex(ObjectStore* store, const v1::ShardIndex& index,
                             const std::string& path);

// Reads a sidecar. NotFound: no such file. InvalidArgument: not a sidecar of this version, damaged
// (it carries a checksum), or columns of unequal length.
absl::StatusOr<v1::ShardIndex> ReadShardIndex(ObjectStore* store, const std::string& path);

// The work of an IndexShard lease: uses the sidecar when it fits the shard, else builds and writes
// it. It fits when the shard's validator is the one that it was built from; where that cannot be
// told, when size and hash of the whole file are (the file is read for that, nothing is decoded). A
// folder that cannot be written is an error. Returns the manifest's entry for the shard.
absl::StatusOr<v1::ShardEntry> IndexShard(ObjectStore* store, const std::string& shard,
                                          const std::string& index_folder,
                                          const IndexProgress& progress = nullptr);

// A shard, or its beginning.
struct ShardPart {
  v1::ShardEntry entry;
  // Of the shard's bytes, in (0, 1].
  double share = 1;
};
// For a look at data before there is a job. As IndexShard for a shard of at most `most_bytes`. Of a
// larger one takes the sidecar if it says the shard's size, else indexes the beginning alone, into
// a sidecar of its own (SIDECAR.part).
absl::StatusOr<ShardPart> IndexShardPart(ObjectStore* store, const std::string& shard,
                                         const std::string& index_folder, uint64_t most_bytes);

// Whether `bytes` of sample `key` still have the checksum that the index has. FailedPrecondition
// names shard and key.
absl::Status CheckMemberHash(absl::string_view bytes, uint64_t hash, const v1::ShardEntry& entry,
                             absl::string_view key);

}  // namespace navit

#endif  // NAVIT_PACKER_SHARD_INDEX_H_
