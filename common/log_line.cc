#include "common/log_line.h"

#include <string>

#include "absl/time/time.h"

namespace navit {

v1::LogLine ToLogLine(const LogRecord& record) {
  constexpr size_t kMaxMessageBytes = size_t{16} << 10;
  v1::LogLine line;
  line.set_seconds(absl::ToDoubleSeconds(record.time - absl::UnixEpoch()));
  line.set_level(LogLevelName(record.level));
  line.set_role(record.role);
  line.set_worker(ValidUtf8(record.worker));
  line.set_job(record.job);
  if (record.rank >= 0) line.set_rank(static_cast<uint32_t>(record.rank));
  line.set_step(record.step);
  line.set_source(record.source);
  line.set_message(ValidUtf8(record.message.substr(0, kMaxMessageBytes)));
  return line;
}

}  // namespace navit
