// Log lines on stderr, one per message, in logfmt:
//   time=2026-01-02T03:04:05.678Z level=info role=packer name=a-1 src=agent.cc:31 msg="lease 7
//   ended"
//
// NAVIT_LOG(INFO) << "lease " << epoch << " ended";
#ifndef NAVIT_COMMON_LOG_H_
#define NAVIT_COMMON_LOG_H_

#include <functional>
#include <sstream>
#include <string>

#include "absl/strings/string_view.h"

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
