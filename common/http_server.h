// One small HTTP/1.1 server per process: /healthz and what the process adds (/metrics, pages).
#ifndef NAVIT_COMMON_HTTP_SERVER_H_
#define NAVIT_COMMON_HTTP_SERVER_H_

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace navit {

struct HttpRequest {
  // Without the query, decoded.
  std::string path;
  // What follows "?", undecoded; empty when there is none.
  std::string query;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  // Besides those of every response.
  std::map<std::string, std::string> headers = {};
};

// Called on the server's threads, several at a time.
using HttpHandler = std::function<HttpResponse(const HttpRequest&)>;

class HttpServer {
 public:
  // Listens on `address`, "host:port"; port 0 takes a free one. Routes are exact paths
  // ("/metrics"); one that ends in "/*" takes everything below. Unless given, "/healthz" answers
  // 200 "ok". Only GET and HEAD; anything else is 405, an unknown path 404. InvalidArgument: not
  // host:port. Unavailable: cannot listen there (in use, no such address).
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(
      const std::string& address, std::map<std::string, HttpHandler> routes);
  // Ends open requests and stops.
  ~HttpServer();

  int port() const { return port_; }
  // "host:port" with the port in use.
  const std::string& address() const { return address_; }

 private:
  struct Impl;
  HttpServer();

  int port_ = 0;
  std::string address_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace navit

#endif  // NAVIT_COMMON_HTTP_SERVER_H_
