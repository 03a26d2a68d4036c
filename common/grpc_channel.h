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

// `target` is one of
//   HOST:PORT                  one server
//   dns:///NAME:PORT           every address of NAME, looked up again whenever one is lost
//   IPV4:PORT,IPV4:PORT,…      these servers
// Of several servers, calls go to those whose health says SERVING: among coordinators, the leader.
// Does not connect yet; a target that cannot be reached shows as UNAVAILABLE of the first call.
// InvalidArgument or NotFound: a list of other things, or one with TLS and without
// tls_server_name; TLS files incomplete or absent.
absl::StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(const std::string& target,
                                                           const ChannelOptions& options);

}  // namespace navit

#endif  // NAVIT_COMMON_GRPC_CHANNEL_H_
