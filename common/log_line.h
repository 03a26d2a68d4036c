// A log record as it travels and is kept.
#ifndef NAVIT_COMMON_LOG_LINE_H_
#define NAVIT_COMMON_LOG_LINE_H_

#include "common/log.h"
#include "proto/logs.pb.h"

namespace navit {

// Everything but incarnation, number and sequence. Messages are cut at 16 KiB, and bytes that are
// no UTF-8 become question marks: protobuf carries none.
v1::LogLine ToLogLine(const LogRecord& record);

}  // namespace navit

#endif  // NAVIT_COMMON_LOG_LINE_H_
