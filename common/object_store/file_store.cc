#include <fcntl.h>
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "common/files.h"
#include "common/object_store/schemes.h"
#include "common/status_macros.h"

namespace navit {
namespace {

// The change time moves with every write and cannot be set back.
ObjectInfo InfoOf(const struct stat& info, absl::Time now) {
  // File systems count time in steps of up to two seconds.
  const bool settled = now - absl::TimeFromTimespec(info.st_ctim) > absl::Seconds(2);
  return {static_cast<uint64_t>(info.st_size),
          absl::StrCat(info.st_ino, "-", info.st_size, "-", info.st_mtim.tv_sec, ".",
                       info.st_mtim.tv_nsec, "-", info.st_ctim.tv_sec, ".", info.st_ctim.tv_nsec),
          settled};
}

class FileStore : public ObjectStore {
 public:
  explicit FileStore(const ObjectStoreOptions& options) : options_(options) {}

  absl::StatusOr<ObjectInfo> Stat(const std::string& name) override {
    return Counted([&]() -> absl::StatusOr<ObjectInfo> {
      struct stat info;
      if (stat(name.c_str(), &info) != 0) return FileError("stat", name, errno);
      if (S_ISDIR(info.st_mode)) return FileError("stat", name, EISDIR);
      return InfoOf(info, options_.clock->UnixNow());
    });
  }

  absl::StatusOr<ObjectInfo> Read(const std::string& name, uint64_t offset, uint64_t bytes,
                                  const std::string& validator, std::string* out) override {
    return Counted([&] { return ReadRange(name, offset, bytes, validator, out); });
  }

  absl::StatusOr<std::vector<std::string>> Glob(const std::string& pattern) override {
    std::vector<std::string> files;
    glob_t found = {};
    const absl::Cleanup freed = [&] { globfree(&found); };
    if (glob(pattern.c_str(), GLOB_NOSORT, nullptr, &found) == 0) {
      for (size_t i = 0; i < found.gl_pathc; ++i) {
        struct stat info;
        if (stat(found.gl_pathv[i], &info) == 0 && !S_ISDIR(info.st_mode)) {
          files.push_back(found.gl_pathv[i]);
        }
      }
    }
    std::sort(files.begin(), files.end());
    return files;
  }

  absl::Status Write(const std::string& name, absl::string_view bytes) override {
    NAVIT_RETURN_IF_ERROR(EnsureFolder(FolderOf(name)));
    return AtomicWriteFile(name, bytes);
  }

  absl::Status Remove(const std::string& name) override { return RemoveAll(name); }

 private:
  template <typename Call>
  absl::StatusOr<ObjectInfo> Counted(Call call) const {
    const absl::Duration begin = options_.clock->SteadyNow();
    absl::StatusOr<ObjectInfo> result = call();
    if (options_.observer != nullptr) {
      options_.observer->Request("file", result.ok() ? "ok" : "error",
                                 options_.clock->SteadyNow() - begin);
    }
    return result;
  }

  absl::StatusOr<ObjectInfo> ReadRange(const std::string& name, uint64_t offset, uint64_t bytes,
                                       const std::string& validator, std::string* out) const {
    const int fd = open(name.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return FileError("open", name, errno);
    const absl::Cleanup closed = [fd] { close(fd); };
    struct stat found;
    if (fstat(fd, &found) != 0) return FileError("stat", name, errno);
    if (S_ISDIR(found.st_mode)) return FileError("read", name, EISDIR);
    const ObjectInfo info = InfoOf(found, options_.clock->UnixNow());
    if (!validator.empty() && info.validator != validator) {
      return absl::FailedPreconditionError(absl::StrCat(name, ": it changed while it was read"));
    }
    if (offset >= info.bytes) {
      return absl::OutOfRangeError(
          absl::StrCat(name, ": byte ", offset, " lies behind its end, at ", info.bytes));
    }
    out->resize(std::min(bytes, info.bytes - offset));
    size_t done = 0;
    while (done < out->size()) {
      const ssize_t got =
          pread(fd, &(*out)[done], out->size() - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return FileError("read", name, errno);
      if (got == 0) {
        return absl::FailedPreconditionError(
            absl::StrCat(name, ": it changed while it was read: it ends at byte ", offset + done));
      }
      done += static_cast<size_t>(got);
    }
    return info;
  }

  const ObjectStoreOptions options_;
};

}  // namespace

std::unique_ptr<ObjectStore> MakeFileStore(const ObjectStoreOptions& options) {
  return std::make_unique<FileStore>(options);
}

}  // namespace navit
