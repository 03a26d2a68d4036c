#include "packer/shard_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace navit {
namespace {

absl::Status Unavailable(absl::string_view path, absl::string_view action) {
  const int error = errno;
  return absl::UnavailableError(
      absl::StrCat(path, ": cannot ", action, " shard: ", std::strerror(error)));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ShardFile>> ShardFile::Open(const v1::ShardEntry& entry) {
  const int fd = open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return Unavailable(entry.path(), "open");
  std::unique_ptr<ShardFile> file(new ShardFile(entry.path(), fd));
  struct stat info;
  if (fstat(fd, &info) != 0) return Unavailable(entry.path(), "stat");
  if (static_cast<uint64_t>(info.st_size) != entry.bytes()) {
    return absl::FailedPreconditionError(
        absl::StrCat(entry.path(), ": shard changed under the job: it has ", info.st_size,
                     " bytes, was frozen with ", entry.bytes()));
  }
  return file;
}

ShardFile::ShardFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}

ShardFile::~ShardFile() { close(fd_); }

absl::StatusOr<absl::string_view> ShardFile::Read(uint64_t offset, uint64_t bytes, uint64_t hash,
                                                  absl::string_view key,
                                                  std::string* buffer) const {
  if (buffer->size() < bytes) buffer->resize(bytes);
  size_t done = 0;
  while (done < bytes) {
    const ssize_t got =
        pread(fd_, &(*buffer)[done], bytes - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Unavailable(path_, "read");
    if (got == 0) {
      return absl::FailedPreconditionError(
          absl::StrCat(path_, ": shard changed under the job: it ends at byte ", offset + done));
    }
    done += static_cast<size_t>(got);
  }
  if (XXH3_64bits(buffer->data(), bytes) != hash) {
    return absl::FailedPreconditionError(absl::StrCat(path_,
                                                      ": shard changed under the job: sample ", key,
                                                      " no longer has the checksum of the index"));
  }
  return absl::string_view(buffer->data(), bytes);
}

}  // namespace navit
