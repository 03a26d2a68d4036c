// A coordinator that waits to lead: it says who does, and nothing else.
#ifndef NAVIT_SERVER_STANDBY_H_
#define NAVIT_SERVER_STANDBY_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/grpc_server.h"
#include "common/http_server.h"
#include "server/metrics.h"

namespace navit {

// Health is NOT_SERVING, by which clients with several addresses pass it over; every other call
// ends with UNAVAILABLE and the reason. Over HTTP: /metrics, /healthz (it is alive), and 503 with
// the reason for the rest.
class Standby {
 public:
  // `counted` must outlive this. Errors as those of GrpcServer and HttpServer.
  static absl::StatusOr<std::unique_ptr<Standby>> Start(GrpcServerOptions grpc,
                                                        const std::string& listen_http,
                                                        const ServerMetrics* counted);
  // Frees both addresses.
  ~Standby();

  // What it waits for, in words: "10.0.0.2:7440 leads". Thread-safe.
  void SetReason(const std::string& reason);

  const GrpcServer& grpc() const { return *grpc_; }
  const HttpServer& http() const { return *http_; }

 private:
  class Refusal;
  Standby();

  std::unique_ptr<Refusal> refusal_;
  std::unique_ptr<GrpcServer> grpc_;
  std::unique_ptr<HttpServer> http_;
};

}  // namespace navit

#endif  // NAVIT_SERVER_STANDBY_H_
