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
  std::string role ABSL_GUARDED_BY(mutex);
  std::string worker ABSL_GUARDED_BY(mutex);
  LogFormat format ABSL_GUARDED_BY(mutex) = LogFormat::kText;
  LogSink sink ABSL_GUARDED_BY(mutex);
  // Held by readers while the observer runs.
  absl::Mutex observer_mutex;
  LogObserver observer ABSL_GUARDED_BY(observer_mutex);
};

struct ThreadContext {
  std::string job;
  int rank = -1;
  uint64_t step = 0;
};
thread_local ThreadContext context;

// Never destroyed: threads may log while the process ends.
LogState& State() {
  static LogState* state = new LogState;
  return *state;
}

std::atomic<int> min_level{static_cast<int>(LogLevel::INFO)};

std::atomic<uint64_t> dropped_lines{0};

void AppendJsonString(absl::string_view text, std::string* out) {
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
      out->append("\\u00");
      out->push_back(kHex[byte >> 4]);
      out->push_back(kHex[byte & 15]);
    } else {
      out->push_back(c);
    }
  }
  out->push_back('"');
}

void AppendJsonField(absl::string_view key, absl::string_view value, std::string* out) {
  absl::StrAppend(out, ",\"", key, "\":");
  AppendJsonString(ValidUtf8(value), out);
}

// Bytes of the UTF-8 character at the front of `text`; 0: there is none.
size_t CharacterBytes(absl::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < size) return 0;
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  // Longer than needed, a surrogate, or beyond the last character.
  if ((lead == 0xe0 && byte(1) < 0xa0) || (lead == 0xed && byte(1) > 0x9f) ||
      (lead == 0xf0 && byte(1) < 0x90) || (lead == 0xf4 && byte(1) > 0x8f)) {
    return 0;
  }
  return size;
}

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
  absl::MutexLock lock(&State().mutex);
  State().role = std::string(role);
  State().worker = std::string(name);
}

const char* LogLevelName(LogLevel level) { return LevelName(level); }

void SetLogFormat(LogFormat format) {
  absl::MutexLock lock(&State().mutex);
  State().format = format;
}

LogScope::LogScope(absl::string_view job, int rank)
    : previous_job_(context.job), previous_rank_(context.rank), previous_step_(context.step) {
  context = {std::string(job), rank, 0};
}

LogScope::~LogScope() { context = {previous_job_, previous_rank_, previous_step_}; }

void LogScope::SetStep(uint64_t step) { context.step = step; }

std::string ValidUtf8(absl::string_view text) {
  std::string valid;
  valid.reserve(text.size());
  while (!text.empty()) {
    const size_t size = CharacterBytes(text);
    valid.append(size == 0 ? "?" : std::string(text.substr(0, size)));
    text.remove_prefix(size == 0 ? 1 : size);
  }
  return valid;
}

std::string FormatLogRecord(const LogRecord& record, LogFormat format) {
  const std::string time =
      absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", record.time, absl::UTCTimeZone());
  std::string line;
  if (format == LogFormat::kJson) {
    line = absl::StrCat("{\"time\":\"", time, "\"");
    AppendJsonField("level", LevelName(record.level), &line);
    if (!record.role.empty()) AppendJsonField("role", record.role, &line);
    if (!record.worker.empty()) AppendJsonField("worker", record.worker, &line);
    if (!record.job.empty()) AppendJsonField("job", record.job, &line);
    if (record.rank >= 0) absl::StrAppend(&line, ",\"rank\":", record.rank);
    if (record.step > 0) absl::StrAppend(&line, ",\"step\":", record.step);
    AppendJsonField("src", record.source, &line);
    AppendJsonField("msg", record.message, &line);
    line.push_back('}');
    return line;
  }
  line = absl::StrCat("time=", time, " level=", LevelName(record.level));
  if (!record.role.empty()) AppendField("role", record.role, &line);
  if (!record.worker.empty()) AppendField("worker", record.worker, &line);
  if (!record.job.empty()) AppendField("job", record.job, &line);
  if (record.rank >= 0) absl::StrAppend(&line, " rank=", record.rank);
  if (record.step > 0) absl::StrAppend(&line, " step=", record.step);
  absl::StrAppend(&line, " src=", record.source, " msg=");
  AppendQuoted(record.message, &line);
  return line;
}

void SetLogObserver(LogObserver observer) {
  absl::WriterMutexLock lock(&State().observer_mutex);
  State().observer = std::move(observer);
}

void CountDroppedLogLine() { dropped_lines.fetch_add(1, std::memory_order_relaxed); }
uint64_t DroppedLogLines() { return dropped_lines.load(std::memory_order_relaxed); }

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
  LogRecord record;
  record.time = absl::Now();
  record.level = level_;
  record.job = context.job;
  record.rank = context.rank;
  record.step = context.step;
  record.source = absl::StrCat(slash == nullptr ? file_ : slash + 1, ":", line_);
  record.message = stream_.str();
  {
    absl::MutexLock lock(&State().mutex);
    record.role = State().role;
    record.worker = State().worker;
    std::string line = FormatLogRecord(record, State().format);
    if (State().sink) {
      State().sink(line);
    } else {
      line.push_back('\n');
      // One write per line: lines of processes that share a terminal do not mix.
      WriteAll(line);
    }
  }
  {
    absl::ReaderMutexLock lock(&State().observer_mutex);
    if (State().observer) State().observer(record);
  }
  if (level_ == LogLevel::FATAL) std::abort();
}

}  // namespace navit
