// One way to dial: keepalive, TLS, message caps, quick reconnection.
#ifndef NAVIT_COMMON_GRPC_CHANNEL_H_
#define NAVIT_COMMON_GRPC_CHANNEL_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/grpc_server.h"
#include "common/tls.h"

namespace grpc {
class Channel;
}  // namespace grpc

namespace navit {

struct ChannelOptions {
  TlsFiles tls;
  // Name to expect in the server's certificate, when it is not the target's host.
  std::string tls_server_name;
  int64_t max_message_bytes = kMaxMessageBytes;
  // A TCP connection of its own instead of one shared with the process's other channels to the same
  // target, so that heartbeats never stand behind bulk data.
  bool own_connection = false;
};

// Does not connect yet; a target that cannot be reached shows as UNAVAILABLE of the first call.
// InvalidArgument or NotFound: TLS files incomplete or absent.
absl::StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(const std::string& target,
                                                           const ChannelOptions& options);

}  // namespace navit

#endif  // NAVIT_COMMON_GRPC_CHANNEL_H_
