// The checksum that stands beside every stored record.
#ifndef NAVIT_SERVER_STORE_RECORD_CHECK_H_
#define NAVIT_SERVER_STORE_RECORD_CHECK_H_

#include <cstdint>

#include "absl/strings/string_view.h"

namespace navit {

// xxh3 over (number, length of name, name, body). Of an event: its seq and job.
uint64_t RecordCheck(uint64_t number, absl::string_view name, absl::string_view body);

}  // namespace navit

#endif  // NAVIT_SERVER_STORE_RECORD_CHECK_H_
