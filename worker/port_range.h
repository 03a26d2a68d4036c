// A range of TCP ports that a firewall can name.
#ifndef NAVIT_WORKER_PORT_RANGE_H_
#define NAVIT_WORKER_PORT_RANGE_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace navit {

struct PortRange {
  // Both included; 0: the system chooses.
  int first = 0;
  int last = 0;

  bool fixed() const { return first != 0; }
  std::string ToString() const;
};

// "FIRST-LAST"; empty: the system chooses. InvalidArgument: no such range within 1 to 65535.
absl::StatusOr<PortRange> ParsePortRange(absl::string_view text);

}  // namespace navit

#endif  // NAVIT_WORKER_PORT_RANGE_H_
