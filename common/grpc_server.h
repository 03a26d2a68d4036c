// One way to serve gRPC: address and TLS rules, health, reflection, keepalive, message caps.
#ifndef NAVIT_COMMON_GRPC_SERVER_H_
#define NAVIT_COMMON_GRPC_SERVER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/tls.h"

namespace grpc {
class CallbackGenericService;
class Server;
class Service;
}  // namespace grpc

namespace navit {

inline constexpr int64_t kMaxMessageBytes = int64_t{64} << 20;

struct GrpcServerOptions {
  // "host:port"; port 0 takes a free one.
  std::string listen;
  TlsFiles tls;
  // Serve other hosts without TLS: only where the network itself is private.
  bool insecure_listen = false;
  int64_t max_message_bytes = kMaxMessageBytes;
  // A connection that is silent for so long is asked whether its peer still lives.
  absl::Duration keepalive = absl::Seconds(10);
  // Health from the start on.
  bool serving = true;
  // Gets the calls of methods that no service has; must outlive the server. nullptr: they are
  // UNIMPLEMENTED.
  grpc::CallbackGenericService* other_calls = nullptr;
};

class GrpcServer {
 public:
  // `services` must outlive the server. Health of "" is options.serving from the start; reflection
  // is on; a second server on the same port is refused. InvalidArgument: not host:port; TLS files
  // incomplete. FailedPrecondition: other hosts could reach `listen` and there is neither TLS nor
  // insecure_listen. Unavailable: cannot listen there.
  static absl::StatusOr<std::unique_ptr<GrpcServer>> Start(
      const GrpcServerOptions& options, const std::vector<grpc::Service*>& services);
  // As Shutdown(1 s) unless that was called.
  ~GrpcServer();

  int port() const { return port_; }
  // "host:port" with the port in use.
  const std::string& address() const { return address_; }
  // Health of the whole server, for probes: true → SERVING.
  void SetServing(bool serving);
  // Takes no new calls, waits up to `grace` for those that run (streams must end by themselves or
  // are cancelled then), and returns when all handlers have returned.
  void Shutdown(absl::Duration grace);

 private:
  GrpcServer();

  int port_ = 0;
  std::string address_;
  std::unique_ptr<grpc::Server> server_;
};

// Whether only this machine can reach "host:port": 127.0.0.0/8, ::1, localhost, unix:.
bool IsLoopbackAddress(absl::string_view address);

}  // namespace navit

#endif  // NAVIT_COMMON_GRPC_SERVER_H_
