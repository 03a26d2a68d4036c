// Sends a worker's log lines that belong to a job to the coordinator, which keeps them with the
// job.
//
// Logging never waits for it: lines stand in a queue bounded in bytes, and a line that finds no
// room is dropped and counted (navit_log_lines_dropped_total).
#ifndef NAVIT_COMMON_LOG_SHIPPER_H_
#define NAVIT_COMMON_LOG_SHIPPER_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/grpc_channel.h"
#include "proto/fleet.pb.h"

namespace navit {

struct LogShipperOptions {
  // "host:port" of the coordinator.
  std::string coordinator;
  ChannelOptions channel;
  v1::WorkerId worker;
  // Of lines that wait to be sent.
  size_t max_queue_bytes = size_t{1} << 20;
  // A line waits this long for others to go with it.
  absl::Duration gather = absl::Milliseconds(200);
  // How long the destructor goes on trying.
  absl::Duration farewell = absl::Seconds(2);
};

class LogShipper {
 public:
  // From now on lines of this process go to the coordinator too; one shipper per process.
  // InvalidArgument or NotFound: TLS files.
  static absl::StatusOr<std::unique_ptr<LogShipper>> Start(LogShipperOptions options);
  // Sends what is left, within `farewell`.
  ~LogShipper();

 private:
  class Impl;
  explicit LogShipper(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace navit

#endif  // NAVIT_COMMON_LOG_SHIPPER_H_
