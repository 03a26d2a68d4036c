#include "common/log.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace navit {
namespace {

struct LogState {
  absl::Mutex mutex;
  std::string identity ABSL_GUARDED_BY(mutex);
  LogSink sink ABSL_GUARDED_BY(mutex);
};

// Never destroyed: threads may log while the process ends.
LogState& State() {
  static LogState* state = new LogState;
  return *state;
}

std::atomic<int> min_level{static_cast<int>(LogLevel::INFO)};

const char* LevelName(LogLevel level) {
  switch (level) {
    case LogLevel::DEBUG:
      return "debug";
    case LogLevel::INFO:
      return "info";
    case LogLevel::WARNING:
      return "warning";
    case LogLevel::ERROR:
      return "error";
    case LogLevel::FATAL:
      return "fatal";
  }
  return "?";
}

void AppendQuoted(absl::string_view text, std::string* out) {
  static constexpr char kHex[] = "0123456789abcdef";
  out->push_back('"');
  for (char c : text) {
    const unsigned char byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out->push_back('\\');
      out->push_back(c);
    } else if (c == '\n') {
      out->append("\\n");
    } else if (byte < 0x20 || byte == 0x7f) {
      out->append("\\x");
      out->push_back(kHex[byte >> 4]);
      out->push_back(kHex[byte & 15]);
    } else {
      out->push_back(c);
    }
  }
  out->push_back('"');
}

// A value stands bare when no reader could misread it.
void AppendField(absl::string_view key, absl::string_view value, std::string* out) {
  absl::StrAppend(out, " ", key, "=");
  bool bare = !value.empty();
  for (char c : value) bare = bare && c > ' ' && c != '"' && c != '=' && c != '\\' && c != 0x7f;
  if (bare) {
    absl::StrAppend(out, value);
  } else {
    AppendQuoted(value, out);
  }
}

void WriteAll(absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(STDERR_FILENO, bytes.data(), bytes.size());
    if (written <= 0) {
      if (written < 0 && errno == EINTR) continue;
      return;  // Nobody to tell.
    }
    bytes.remove_prefix(static_cast<size_t>(written));
  }
}

}  // namespace

void SetLogIdentity(absl::string_view role, absl::string_view name) {
  std::string identity;
  if (!role.empty()) AppendField("role", role, &identity);
  if (!name.empty()) AppendField("name", name, &identity);
  absl::MutexLock lock(&State().mutex);
  State().identity = std::move(identity);
}

void SetMinLogLevel(LogLevel level) { min_level.store(static_cast<int>(level)); }

bool LogEnabled(LogLevel level) {
  return static_cast<int>(level) >= min_level.load(std::memory_order_relaxed);
}

bool ParseLogLevel(absl::string_view text, LogLevel* level) {
  for (LogLevel candidate :
       {LogLevel::DEBUG, LogLevel::INFO, LogLevel::WARNING, LogLevel::ERROR, LogLevel::FATAL}) {
    if (text == LevelName(candidate)) {
      *level = candidate;
      return true;
    }
  }
  return false;
}

void SetLogSink(LogSink sink) {
  absl::MutexLock lock(&State().mutex);
  State().sink = std::move(sink);
}

LogMessage::LogMessage(LogLevel level, const char* file, int line)
    : level_(level), file_(file), line_(line) {}

LogMessage::~LogMessage() {
  const char* slash = std::strrchr(file_, '/');
  const absl::string_view file = slash == nullptr ? file_ : slash + 1;
  std::string line = absl::StrCat(
      "time=", absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::Now(), absl::UTCTimeZone()),
      " level=", LevelName(level_));
  {
    absl::MutexLock lock(&State().mutex);
    absl::StrAppend(&line, State().identity, " src=", file, ":", line_, " msg=");
    AppendQuoted(stream_.str(), &line);
    if (State().sink) {
      State().sink(line);
    } else {
      line.push_back('\n');
      // One write per line: lines of processes that share a terminal do not mix.
      WriteAll(line);
    }
  }
  if (level_ == LogLevel::FATAL) std::abort();
}

}  // namespace navit
