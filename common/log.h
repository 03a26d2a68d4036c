// Log lines on stderr, one per message, in logfmt or as JSON, with the job, rank and step that the
// thread works on:
//   time=2026-01-02T03:04:05.678Z level=info role=packer worker=a-1 job=b16 src=agent.cc:31
//   msg="lease 7 ended"
//   {"time":"2026-01-02T03:04:05.678Z","level":"info","role":"packer","worker":"a-1","job":"b16",…}
//
// NAVIT_LOG(INFO) << "lease " << epoch << " ended";
#ifndef NAVIT_COMMON_LOG_H_
#define NAVIT_COMMON_LOG_H_

#include <cstdint>
#include <functional>
#include <sstream>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace navit {

// FATAL logs and aborts: for states that are impossible unless our own code is wrong.
enum class LogLevel { DEBUG, INFO, WARNING, ERROR, FATAL };

// Stand in every later line of this process. Call from main, before threads start.
void SetLogIdentity(absl::string_view role, absl::string_view name);
// Messages below it are not formatted. Default: INFO.
void SetMinLogLevel(LogLevel level);
bool LogEnabled(LogLevel level);
// "debug", "info", "warning", "error", "fatal"; false for anything else.
bool ParseLogLevel(absl::string_view text, LogLevel* level);

const char* LogLevelName(LogLevel level);

enum class LogFormat { kText, kJson };
void SetLogFormat(LogFormat format);

// What the thread works on stands in its lines while one of these lives; the newest counts.
class LogScope {
 public:
  // `rank` < 0: none.
  explicit LogScope(absl::string_view job, int rank = -1);
  ~LogScope();
  LogScope(const LogScope&) = delete;
  LogScope& operator=(const LogScope&) = delete;
  // The step at hand of this thread's newest scope; 0: none.
  static void SetStep(uint64_t step);

 private:
  const std::string previous_job_;
  const int previous_rank_;
  const uint64_t previous_step_;
};

struct LogRecord {
  absl::Time time;
  LogLevel level = LogLevel::INFO;
  std::string role;
  std::string worker;
  std::string job;
  int rank = -1;
  uint64_t step = 0;
  // "file.cc:123".
  std::string source;
  std::string message;
};
// As one line of text or JSON, without the newline.
std::string FormatLogRecord(const LogRecord& record, LogFormat format);
// `text` with every byte that is no UTF-8 replaced by a question mark.
std::string ValidUtf8(absl::string_view text);

// Gets every record after it was written; called on the threads that log, and must not log itself.
// nullptr: nobody. Returns once no call of the observer before is under way.
using LogObserver = std::function<void(const LogRecord& record)>;
void SetLogObserver(LogObserver observer);
// Lines that found no room on their way to the coordinator; for metrics.
void CountDroppedLogLine();
uint64_t DroppedLogLines();

// Sends whole lines (without the newline) here instead of stderr; nullptr: stderr again. The sink
// is called by one thread at a time and must not log.
using LogSink = std::function<void(absl::string_view line)>;
void SetLogSink(LogSink sink);

class LogMessage {
 public:
  LogMessage(LogLevel level, const char* file, int line);
  ~LogMessage();
  LogMessage(const LogMessage&) = delete;
  LogMessage& operator=(const LogMessage&) = delete;
  std::ostream& stream() { return stream_; }

 private:
  const LogLevel level_;
  const char* const file_;
  const int line_;
  std::ostringstream stream_;
};

}  // namespace navit

#define NAVIT_LOG(level)                                                                    \
  for (bool navit_log_once = ::navit::LogEnabled(::navit::LogLevel::level); navit_log_once; \
       navit_log_once = false)                                                              \
  ::navit::LogMessage(::navit::LogLevel::level, __FILE__, __LINE__).stream()

// Aborts with the condition's text when it does not hold. For impossible states only: input from
// outside gets an absl::Status.
#define NAVIT_CHECK(condition)                                               \
  while (!(condition))                                                       \
  ::navit::LogMessage(::navit::LogLevel::FATAL, __FILE__, __LINE__).stream() \
      << "check failed: " #condition " "

#endif  // NAVIT_COMMON_LOG_H_
