#include "server/logs/job_logs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/files.h"
#include "common/status_macros.h"

namespace navit {
namespace {

constexpr size_t kHeadBytes = 8;
constexpr uint32_t kMaxFrameBytes = uint32_t{1} << 20;
// Of a job; its oldest processes are forgotten first.
constexpr size_t kMaxProcesses = 4096;

uint32_t LittleEndian(const char* bytes) {
  const auto* b = reinterpret_cast<const unsigned char*>(bytes);
  return b[0] | uint32_t{b[1]} << 8 | uint32_t{b[2]} << 16 | uint32_t{b[3]} << 24;
}

void PutLittleEndian(uint32_t value, std::string* out) {
  for (int shift = 0; shift < 32; shift += 8) out->push_back(static_cast<char>(value >> shift));
}

uint32_t Checksum(absl::string_view bytes) {
  return static_cast<uint32_t>(XXH3_64bits(bytes.data(), bytes.size()));
}

std::string Frame(const v1::LogLine& line) {
  const std::string bytes = line.SerializeAsString();
  std::string frame;
  PutLittleEndian(static_cast<uint32_t>(bytes.size()), &frame);
  PutLittleEndian(Checksum(bytes), &frame);
  return frame + bytes;
}

// Takes the first frame off `bytes`. False: no whole and sound one stands there.
bool TakeFrame(absl::string_view* bytes, v1::LogLine* line) {
  if (bytes->size() < kHeadBytes) return false;
  const uint32_t size = LittleEndian(bytes->data());
  if (size > kMaxFrameBytes || bytes->size() - kHeadBytes < size) return false;
  const absl::string_view body = bytes->substr(kHeadBytes, size);
  if (Checksum(body) != LittleEndian(bytes->data() + 4) ||
      !line->ParseFromArray(body.data(), static_cast<int>(body.size()))) {
    return false;
  }
  bytes->remove_prefix(kHeadBytes + size);
  return true;
}

class FileDescriptor {
 public:
  FileDescriptor(const std::string& path, int flags) : fd_(::open(path.c_str(), flags, 0640)) {}
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
};

absl::Status AppendToFile(const std::string& path, absl::string_view bytes) {
  const FileDescriptor file(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC);
  if (file.get() < 0) return FileError("open", path, errno);
  while (!bytes.empty()) {
    const ssize_t written = ::write(file.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return FileError("write", path, errno);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

// At most `size` bytes from `offset` on; fewer only at the end.
absl::StatusOr<std::string> ReadRange(const std::string& path, uint64_t offset, uint64_t size) {
  const FileDescriptor file(path, O_RDONLY | O_CLOEXEC);
  if (file.get() < 0) return FileError("open", path, errno);
  std::string bytes(size, '\0');
  size_t have = 0;
  while (have < bytes.size()) {
    const ssize_t got = ::pread(file.get(), bytes.data() + have, bytes.size() - have,
                                static_cast<off_t>(offset + have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FileError("read", path, errno);
    if (got == 0) break;
    have += static_cast<size_t>(got);
  }
  bytes.resize(have);
  return bytes;
}

}  // namespace

std::string JobLogs::FileName(const std::string& job, uint64_t first) const {
  return absl::StrFormat("%s/%s/%016d.log", folder_, job, first);
}

absl::StatusOr<std::unique_ptr<JobLogs>> JobLogs::Open(const std::string& folder,
                                                       uint64_t max_bytes_per_job) {
  NAVIT_RETURN_IF_ERROR(EnsureFolder(folder));
  std::unique_ptr<JobLogs> logs(new JobLogs(folder, max_bytes_per_job));
  NAVIT_ASSIGN_OR_RETURN(const std::vector<std::string> jobs, ListFolder(folder));
  absl::MutexLock lock(&logs->mutex_);
  for (const std::string& job : jobs) NAVIT_RETURN_IF_ERROR(logs->Load(job));
  return logs;
}

absl::Status JobLogs::Load(const std::string& job) {
  NAVIT_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                         ListFolder(absl::StrCat(folder_, "/", job)));
  Log log;
  for (const std::string& name : names) {
    uint64_t first = 0;
    if (name.size() != 20 || !absl::SimpleAtoi(name.substr(0, 16), &first)) continue;
    const std::string path = FileName(job, first);
    NAVIT_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path));
    absl::string_view rest = bytes;
    v1::LogLine line;
    while (TakeFrame(&rest, &line)) {
      log.newest = line.sequence();
      IsRepeated(line, &log);
    }
    log.files[first] = bytes.size() - rest.size();
    // The next line must follow a whole one.
    if (!rest.empty() && ::truncate(path.c_str(), static_cast<off_t>(log.files[first])) != 0) {
      return FileError("truncate", path, errno);
    }
  }
  if (!log.files.empty()) log.newest = std::max(log.newest, log.files.rbegin()->first - 1);
  logs_[job] = std::move(log);
  return absl::OkStatus();
}

bool JobLogs::IsRepeated(const v1::LogLine& line, Log* log) {
  if (line.number() == 0) return false;  // The coordinator's own.
  if (log->numbers.size() >= kMaxProcesses) log->numbers.erase(log->numbers.begin());
  uint64_t& newest = log->numbers[{line.worker(), line.incarnation()}];
  if (line.number() <= newest) return true;
  newest = line.number();
  return false;
}

absl::Status JobLogs::Append(v1::LogLine line) {
  const std::string job = line.job();
  // It names a folder. Names of jobs are DNS labels.
  if (job.empty() || job[0] == '.' || job.find('/') != std::string::npos) {
    return absl::InvalidArgumentError(absl::StrCat("job: `", job, "` cannot have a log"));
  }
  absl::MutexLock lock(&mutex_);
  auto found = logs_.find(job);
  if (found == logs_.end()) {
    NAVIT_RETURN_IF_ERROR(EnsureFolder(absl::StrCat(folder_, "/", job)));
    found = logs_.emplace(job, Log()).first;
  }
  Log& log = found->second;
  if (IsRepeated(line, &log)) return absl::OkStatus();
  line.set_sequence(log.newest + 1);
  const std::string frame = Frame(line);
  if (log.files.empty() || log.files.rbegin()->second + frame.size() > max_bytes_ / 8) {
    log.files.emplace(line.sequence(), 0);
  }
  const uint64_t first = log.files.rbegin()->first;
  NAVIT_RETURN_IF_ERROR(AppendToFile(FileName(job, first), frame));
  log.files[first] += frame.size();
  log.newest = line.sequence();
  uint64_t total = 0;
  for (const auto& [number, bytes] : log.files) total += bytes;
  while (total > max_bytes_ && log.files.size() > 1) {
    NAVIT_RETURN_IF_ERROR(RemoveAll(FileName(job, log.files.begin()->first)));
    total -= log.files.begin()->second;
    log.files.erase(log.files.begin());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<v1::LogLine>> JobLogs::Read(const std::string& job, uint64_t max_bytes,
                                                       Cursor* cursor) const {
  std::vector<v1::LogLine> lines;
  absl::MutexLock lock(&mutex_);
  const auto found = logs_.find(job);
  if (found == logs_.end() || cursor->sequence >= found->second.newest) return lines;
  const std::map<uint64_t, uint64_t>& files = found->second.files;
  while (lines.empty()) {
    auto file = files.find(cursor->file);
    if (file == files.end()) {
      // The first reading, or the file has gone meanwhile: the one that holds the next line.
      file = files.upper_bound(cursor->sequence + 1);
      if (file != files.begin()) --file;
      if (file == files.end()) return lines;
      cursor->file = file->first;
      cursor->offset = 0;
    }
    const uint64_t left = file->second - std::min(file->second, cursor->offset);
    NAVIT_ASSIGN_OR_RETURN(
        const std::string bytes,
        ReadRange(FileName(job, cursor->file), cursor->offset,
                  std::min<uint64_t>(left, std::max<uint64_t>(max_bytes, 2 * kMaxFrameBytes))));
    absl::string_view rest = bytes;
    v1::LogLine line;
    while (bytes.size() - rest.size() < max_bytes && TakeFrame(&rest, &line)) {
      if (line.sequence() <= cursor->sequence) continue;
      cursor->sequence = line.sequence();
      lines.push_back(line);
    }
    cursor->offset += bytes.size() - rest.size();
    if (!lines.empty()) break;
    if (bytes.size() != rest.size()) continue;  // Lines that the reader has had.
    const auto next = std::next(file);
    if (next == files.end()) break;
    cursor->file = next->first;
    cursor->offset = 0;
  }
  return lines;
}

uint64_t JobLogs::Newest(const std::string& job) const {
  absl::MutexLock lock(&mutex_);
  const auto found = logs_.find(job);
  return found == logs_.end() ? 0 : found->second.newest;
}

absl::Status JobLogs::Drop(const std::string& job) {
  absl::MutexLock lock(&mutex_);
  if (logs_.erase(job) == 0) return absl::OkStatus();
  return RemoveAll(absl::StrCat(folder_, "/", job));
}

absl::Status JobLogs::Keep(const std::set<std::string>& jobs) {
  std::vector<std::string> gone;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [job, log] : logs_) {
      if (jobs.count(job) == 0) gone.push_back(job);
    }
  }
  for (const std::string& job : gone) NAVIT_RETURN_IF_ERROR(Drop(job));
  return absl::OkStatus();
}

}  // namespace navit
