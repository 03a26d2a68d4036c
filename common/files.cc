#include "common/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/status_macros.h"

namespace navit {
namespace {

std::atomic<bool> has_fault_hook{false};

struct FaultHook {
  absl::Mutex mutex;
  FileFaultHook hook ABSL_GUARDED_BY(mutex);
};

FaultHook& Hook() {
  static FaultHook* hook = new FaultHook;
  return *hook;
}

// The errno that a test wants for this step, or 0.
int InjectedFault(absl::string_view operation, absl::string_view path) {
  if (!has_fault_hook.load(std::memory_order_relaxed)) return 0;
  absl::MutexLock lock(&Hook().mutex);
  return Hook().hook ? Hook().hook(operation, path) : 0;
}

// Runs `call` until it is not interrupted; returns 0 or the errno.
template <typename Call>
int Attempt(absl::string_view operation, absl::string_view path, Call call) {
  if (int fault = InjectedFault(operation, path); fault != 0) return fault;
  while (call() < 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

std::string TemporaryName(const std::string& path) {
  static std::atomic<uint64_t> counter{0};
  return absl::StrCat(path, ".tmp-", getpid(), "-", counter.fetch_add(1));
}

}  // namespace

absl::Status FileError(absl::string_view action, absl::string_view path, int error_number) {
  absl::StatusCode code = absl::ErrnoToStatusCode(error_number);
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
      code = absl::StatusCode::kResourceExhausted;
      break;
    case EIO:
    case ESTALE:
      code = absl::StatusCode::kUnavailable;
      break;
    case EISDIR:
    case ENOTDIR:
      code = absl::StatusCode::kFailedPrecondition;
      break;
    default:
      break;
  }
  return absl::Status(
      code, absl::StrCat(path, ": ", action, ": ",
                         std::error_code(error_number, std::generic_category()).message()));
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  int fd = -1;
  if (int error =
          Attempt("open", path, [&] { return fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC); })) {
    return FileError("cannot open", path, error);
  }
  std::string bytes;
  struct stat info;
  if (::fstat(fd, &info) == 0 && info.st_size > 0) {
    bytes.reserve(static_cast<size_t>(info.st_size));
  }
  char buffer[1 << 16];
  while (true) {
    ssize_t got = 0;
    if (int error =
            Attempt("read", path, [&] { return got = ::read(fd, buffer, sizeof(buffer)); })) {
      ::close(fd);
      return FileError("cannot read", path, error);
    }
    if (got == 0) break;
    bytes.append(buffer, static_cast<size_t>(got));
  }
  ::close(fd);
  return bytes;
}

absl::Status AtomicWriteFile(const std::string& path, absl::string_view bytes) {
  NAVIT_ASSIGN_OR_RETURN(std::unique_ptr<AtomicFileWriter> writer, AtomicFileWriter::Create(path));
  NAVIT_RETURN_IF_ERROR(writer->Append(bytes));
  return writer->Commit();
}

AtomicFileWriter::AtomicFileWriter(std::string path, std::string temporary, int fd)
    : path_(std::move(path)), temporary_(std::move(temporary)), fd_(fd) {}

absl::StatusOr<std::unique_ptr<AtomicFileWriter>> AtomicFileWriter::Create(
    const std::string& path) {
  const std::string temporary = TemporaryName(path);
  int fd = -1;
  if (int error = Attempt("open", path, [&] {
        return fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
      })) {
    return FileError("cannot create", temporary, error);
  }
  return std::unique_ptr<AtomicFileWriter>(new AtomicFileWriter(path, temporary, fd));
}

AtomicFileWriter::~AtomicFileWriter() {
  if (fd_ >= 0) ::close(fd_);
  if (temporary_exists_) ::unlink(temporary_.c_str());
}

absl::Status AtomicFileWriter::Append(absl::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t written = 0;
    if (int error = Attempt("write", path_,
                            [&] { return written = ::write(fd_, bytes.data(), bytes.size()); })) {
      return FileError("cannot write", path_, error);
    }
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status AtomicFileWriter::Commit() {
  if (int error = Attempt("sync", path_, [&] { return ::fsync(fd_); })) {
    return FileError("cannot sync", path_, error);
  }
  const int closed = ::close(fd_);
  fd_ = -1;
  if (closed < 0) return FileError("cannot close", path_, errno);
  if (int error =
          Attempt("rename", path_, [&] { return ::rename(temporary_.c_str(), path_.c_str()); })) {
    return FileError("cannot rename into place", path_, error);
  }
  temporary_exists_ = false;
  // The rename is durable only once the folder is.
  return SyncFolder(FolderOf(path_));
}

absl::Status SyncFolder(const std::string& path) {
  int fd = -1;
  if (int error = Attempt("open", path, [&] {
        return fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      })) {
    return FileError("cannot open folder", path, error);
  }
  const int error = Attempt("sync_folder", path, [&] { return ::fsync(fd); });
  ::close(fd);
  if (error != 0) return FileError("cannot sync folder", path, error);
  return absl::OkStatus();
}

absl::Status EnsureFolder(const std::string& path) {
  struct stat info;
  if (::stat(path.c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode)) return absl::OkStatus();
    return FileError("cannot make folder", path, ENOTDIR);
  }
  const std::string parent = FolderOf(path);
  if (parent != path) NAVIT_RETURN_IF_ERROR(EnsureFolder(parent));
  const int error = Attempt("mkdir", path, [&] { return ::mkdir(path.c_str(), 0755); });
  // Another process may have been faster.
  if (error != 0 && error != EEXIST) return FileError("cannot make folder", path, error);
  return SyncFolder(parent);
}

absl::StatusOr<std::vector<std::string>> ListFolder(const std::string& path) {
  if (int error = InjectedFault("open", path)) return FileError("cannot list", path, error);
  DIR* folder = ::opendir(path.c_str());
  if (folder == nullptr) return FileError("cannot list", path, errno);
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(folder)) {
    const absl::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
    errno = 0;
  }
  const int error = errno;
  ::closedir(folder);
  if (error != 0) return FileError("cannot list", path, error);
  std::sort(names.begin(), names.end());
  return names;
}

absl::Status RemoveAll(const std::string& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error) return FileError("cannot remove", path, error.value());
  return absl::OkStatus();
}

bool FileExists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

std::string FolderOf(absl::string_view path) {
  while (path.size() > 1 && absl::EndsWith(path, "/")) path.remove_suffix(1);
  const size_t slash = path.rfind('/');
  if (slash == absl::string_view::npos) return ".";
  if (slash == 0) return "/";
  return std::string(path.substr(0, slash));
}

void SetFileFaultHookForTest(FileFaultHook hook) {
  absl::MutexLock lock(&Hook().mutex);
  has_fault_hook.store(hook != nullptr);
  Hook().hook = std::move(hook);
}

}  // namespace navit
