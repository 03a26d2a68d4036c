// HTTP requests over libcurl: one attempt each, connections kept and used again.
#ifndef NAVIT_COMMON_OBJECT_STORE_HTTP_CLIENT_H_
#define NAVIT_COMMON_OBJECT_STORE_HTTP_CLIENT_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace navit {

struct HttpCall {
  // GET, HEAD, PUT, POST or DELETE.
  std::string method = "GET";
  std::string url;
  // Beside those that libcurl sends by itself.
  std::map<std::string, std::string> headers;
  // Of PUT and POST; must live as long as the call.
  absl::string_view body;
  // A longer reply is an error.
  uint64_t max_reply_bytes = uint64_t{64} << 20;
  bool follow_redirects = false;
  // Past every proxy: link-local services.
  bool direct = false;
  absl::Duration connect_timeout = absl::Seconds(10);
  // The longest time in which next to nothing arrives.
  absl::Duration stall_timeout = absl::Seconds(20);
  absl::Duration total_timeout = absl::Minutes(5);
};

struct HttpReply {
  int status = 0;
  // Names in lower case; of the last reply where redirects were followed.
  std::map<std::string, std::string> headers;
  std::string body;
  // What Retry-After asks for; zero: nothing.
  absl::Duration retry_after;

  // The value of a header; empty: it is not there.
  absl::string_view header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? absl::string_view() : absl::string_view(found->second);
  }
};

// Thread-safe. Keeps one handle per call in flight, each with its open connections.
class HttpClient {
 public:
  // `ca_bundle`: PEM file of trusted authorities; empty: the system's.
  explicit HttpClient(std::string ca_bundle);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Any whole reply is a success, whatever its status. Errors name no URL (a query may hold a
  // signature): Unavailable: not reached, or broken off. DeadlineExceeded: one of the timeouts.
  // DataLoss: the body was shorter than announced. ResourceExhausted: reply beyond max_reply_bytes.
  // FailedPrecondition: the server's certificate is not trusted. InvalidArgument: malformed URL.
  absl::StatusOr<HttpReply> Send(const HttpCall& call);

 private:
  struct Pool;
  const std::string ca_bundle_;
  const std::unique_ptr<Pool> pool_;
};

}  // namespace navit

#endif  // NAVIT_COMMON_OBJECT_STORE_HTTP_CLIENT_H_
