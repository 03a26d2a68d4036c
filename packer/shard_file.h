// Members of a shard by their place, checked against its index.
#ifndef NAVIT_PACKER_SHARD_FILE_H_
#define NAVIT_PACKER_SHARD_FILE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proto/data.pb.h"

namespace navit {

// An open shard that has the size of its manifest entry. Thread-safe.
class ShardFile {
 public:
  // FailedPrecondition: its size is another ("changed under the job"). Unavailable: it cannot be
  // opened; worth a retry. Both name the shard.
  static absl::StatusOr<std::unique_ptr<ShardFile>> Open(const v1::ShardEntry& entry);
  ~ShardFile();
  ShardFile(const ShardFile&) = delete;
  ShardFile& operator=(const ShardFile&) = delete;

  // `bytes` bytes at `offset`, whose xxh3 must be `hash`; at the beginning of `buffer`, which only
  // grows, so that nothing is zeroed to be overwritten. `key` is the sample's, for errors, which are
  // those of Open.
  absl::StatusOr<absl::string_view> Read(uint64_t offset, uint64_t bytes, uint64_t hash,
                                         absl::string_view key, std::string* buffer) const;

 private:
  ShardFile(std::string path, int fd);

  const std::string path_;
  const int fd_;
};

}  // namespace navit

#endif  // NAVIT_PACKER_SHARD_FILE_H_
