// Files that are either old or new, never half: write to a temporary name, sync, rename, sync the
// folder. Every error names the path.
#ifndef NAVIT_COMMON_FILES_H_
#define NAVIT_COMMON_FILES_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace navit {

// Status codes of this header: NotFound, PermissionDenied, ResourceExhausted (ENOSPC, EDQUOT),
// Unavailable (EIO and the like; worth a retry), FailedPrecondition (a folder where a file should
// be, and the reverse).
absl::Status FileError(absl::string_view action, absl::string_view path, int error_number);

absl::StatusOr<std::string> ReadFile(const std::string& path);

// Replaces `path` by `bytes`, durably. After an error the old file, if any, is whole; the temporary
// file is removed as far as possible.
absl::Status AtomicWriteFile(const std::string& path, absl::string_view bytes);

// The same in pieces, for files that do not fit in memory twice. Not thread-safe.
class AtomicFileWriter {
 public:
  static absl::StatusOr<std::unique_ptr<AtomicFileWriter>> Create(const std::string& path);
  // Without Commit the temporary file is removed and `path` stays as it was.
  ~AtomicFileWriter();
  AtomicFileWriter(const AtomicFileWriter&) = delete;
  AtomicFileWriter& operator=(const AtomicFileWriter&) = delete;

  absl::Status Append(absl::string_view bytes);
  // Syncs, renames, syncs the folder. Call once, after the last Append. After a failed sync the
  // bytes are in doubt: write the whole file again.
  absl::Status Commit();

 private:
  AtomicFileWriter(std::string path, std::string temporary, int fd);

  const std::string path_;
  const std::string temporary_;
  int fd_;
  bool temporary_exists_ = true;
};

// mkdir -p. New folders are synced into their parents.
absl::Status EnsureFolder(const std::string& path);
// Makes names that were created, renamed or removed in `path` durable.
absl::Status SyncFolder(const std::string& path);
// Names in a folder, sorted, without "." and "..".
absl::StatusOr<std::vector<std::string>> ListFolder(const std::string& path);
// Removes a file or a whole folder; absent is fine.
absl::Status RemoveAll(const std::string& path);
bool FileExists(const std::string& path);
// "a/b/c" → "a/b"; "c" → "."; "/c" → "/".
std::string FolderOf(absl::string_view path);

// Tests: called before each step on a file; a number other than 0 makes the step fail with this
// errno without doing it. Operations: "open", "read", "write", "sync", "rename", "sync_folder",
// "mkdir". nullptr removes it.
using FileFaultHook = std::function<int(absl::string_view operation, absl::string_view path)>;
void SetFileFaultHookForTest(FileFaultHook hook);

}  // namespace navit

#endif  // NAVIT_COMMON_FILES_H_
