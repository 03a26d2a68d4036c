#include "server/store/store_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "common/files.h"

namespace navit {
namespace {

// On disk: magic, seq, xxh3 of both; machine byte order.
struct SealRecord {
  char magic[8];
  uint64_t seq;
  uint64_t check;
};
constexpr char kMagic[8] = {'n', 'a', 'v', 'i', 't', 's', 'l', '1'};

SealRecord MakeSeal(uint64_t seq) {
  SealRecord record{};
  std::memcpy(record.magic, kMagic, sizeof(kMagic));
  record.seq = seq;
  record.check = XXH3_64bits(&record, offsetof(SealRecord, check));
  return record;
}

}  // namespace

absl::StatusOr<std::unique_ptr<StoreLock>> StoreLock::Take(const std::string& state_path) {
  const std::string path = state_path + "-lock";
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return FileError("open", path, errno);
  std::unique_ptr<StoreLock> lock(new StoreLock(path, fd));
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return FileError("lock", path, errno);
    return absl::UnavailableError(absl::StrCat(
        state_path, ": another coordinator has this state file open (", path, " is locked)"));
  }
  SealRecord record;
  if (pread(fd, &record, sizeof(record), 0) == static_cast<ssize_t>(sizeof(record))) {
    const SealRecord expected = MakeSeal(record.seq);
    if (std::memcmp(&record, &expected, sizeof(record)) == 0) lock->sealed_seq_ = record.seq;
  }
  return lock;
}

StoreLock::~StoreLock() { close(fd_); }

absl::Status StoreLock::Seal(uint64_t seq) {
  const SealRecord record = MakeSeal(seq);
  errno = 0;
  if (pwrite(fd_, &record, sizeof(record), 0) != static_cast<ssize_t>(sizeof(record))) {
    return FileError("write", path_, errno != 0 ? errno : ENOSPC);
  }
  sealed_seq_ = seq;
  return absl::OkStatus();
}

}  // namespace navit
