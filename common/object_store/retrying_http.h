// HTTP requests that are repeated while that can help.
#ifndef NAVIT_COMMON_OBJECT_STORE_RETRYING_HTTP_H_
#define NAVIT_COMMON_OBJECT_STORE_RETRYING_HTTP_H_

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/object_store/http_client.h"
#include "common/object_store/object_store.h"

namespace navit {

// Thread-safe.
class RetryingHttp {
 public:
  explicit RetryingHttp(const ObjectStoreOptions& options);

  // Sends what `make` makes, anew for each attempt, so that signatures are of its time. Any reply
  // that is no transient error is a success. Errors begin with `name`.
  absl::StatusOr<HttpReply> Send(absl::string_view scheme, absl::string_view name,
                                 const std::function<absl::StatusOr<HttpCall>()>& make);

 private:
  const ObjectStoreOptions options_;
  HttpClient client_;
};

// The status of a reply that is an error: NotFound (404), PermissionDenied (401, 403),
// FailedPrecondition (412: the object changed; other 4xx), Unavailable (the rest).
absl::Status StatusOfReply(const HttpReply& reply, absl::string_view name);

}  // namespace navit

#endif  // NAVIT_COMMON_OBJECT_STORE_RETRYING_HTTP_H_
