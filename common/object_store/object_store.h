// One way to read, list and write objects, wherever they lie: local and shared files, http(s), S3.
//
//   NAVIT_ASSIGN_OR_RETURN(ObjectInfo info, store->Stat("s3://bucket/train-00000.tar"));
//   std::string bytes;
//   NAVIT_RETURN_IF_ERROR(store->Read(url, 512, 4096, info.validator, &bytes).status());
//
// Requests over a network that fail with a transient error (a broken connection, a time-out, a
// short body, 429, 500, 502, 503 SlowDown, 504) are repeated with growing, jittered delays, no
// sooner than Retry-After asks for, until `retry_deadline`.
#ifndef NAVIT_COMMON_OBJECT_STORE_OBJECT_STORE_H_
#define NAVIT_COMMON_OBJECT_STORE_OBJECT_STORE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/backoff.h"
#include "common/clock.h"
#include "common/stop_flag.h"

namespace navit {

struct ObjectInfo {
  uint64_t bytes = 0;
  // Changes when the object does: a strong ETag; of a file its inode, size and times. Empty: the
  // server gives none.
  std::string validator;
  // False: so recently written that a further change might leave the validator as it is.
  bool settled = true;
};

// Status codes of all calls; the message begins with the name of the object:
//   NotFound: no such object, bucket or folder. PermissionDenied. Unauthenticated: S3 without any
//   credentials; says where they were looked for. FailedPrecondition: not the object of `validator`
//   ("changed"), a folder, or a server that cannot do what is asked. Unavailable: still failing
//   when the retries ended. ResourceExhausted: no space. InvalidArgument: a malformed name.
//
// Thread-safe.
class ObjectStore {
 public:
  virtual ~ObjectStore() = default;

  virtual absl::StatusOr<ObjectInfo> Stat(const std::string& name) = 0;

  // Replaces `out` by the bytes [offset, offset + bytes), less where the object ends before;
  // returns what the object was when it was read. `validator`: empty, or of the object expected.
  // OutOfRange: `offset` lies behind the end. Requires bytes > 0.
  virtual absl::StatusOr<ObjectInfo> Read(const std::string& name, uint64_t offset, uint64_t bytes,
                                          const std::string& validator, std::string* out) = 0;

  // The objects that match `pattern` (*, ?, [..]; a wildcard never matches a slash), sorted;
  // possibly none. Unimplemented: http has no listing.
  virtual absl::StatusOr<std::vector<std::string>> Glob(const std::string& pattern) = 0;

  // Makes or replaces the whole object; readers see the old one or the new one. Missing folders of
  // a local path are made.
  virtual absl::Status Write(const std::string& name, absl::string_view bytes) = 0;

  // Absent is fine.
  virtual absl::Status Remove(const std::string& name) = 0;
};

// The whole object, of at most `max_bytes` (FailedPrecondition).
absl::StatusOr<std::string> ReadObject(ObjectStore* store, const std::string& name,
                                       uint64_t max_bytes);

// What requests did, for metrics. Called on the callers' threads.
class ObjectStoreObserver {
 public:
  virtual ~ObjectStoreObserver() = default;
  // One attempt. `code`: the HTTP status, or "ok" and "error" for files, "error" for requests
  // without a reply.
  virtual void Request(absl::string_view scheme, absl::string_view code, absl::Duration took) = 0;
  // An attempt failed and will be repeated after `delay`. `reason`: slow_down, server_error,
  // connection, timeout, short_body or credentials.
  virtual void Retry(absl::string_view reason, absl::Duration delay) = 0;
};

// The value of an environment variable; empty: it is not set.
using Environment = std::function<std::string(const std::string& name)>;
// This process's own.
Environment ProcessEnvironment();

struct ObjectStoreOptions {
  // AWS_ACCESS_KEY_ID and its kin (aws_credentials.h), AWS_REGION, AWS_DEFAULT_REGION,
  // AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_CA_BUNDLE.
  Environment environment = [](const std::string&) { return std::string(); };
  // Of s3: buckets in the path or in the host's name. Automatic: in the path where the endpoint was
  // given or the bucket's name has a dot, as S3-like servers and certificates need it.
  enum class Addressing { kAutomatic, kPath, kHost };
  Addressing addressing = Addressing::kAutomatic;
  BackoffOptions backoff;
  // From the first attempt of a request; no attempt starts later.
  absl::Duration retry_deadline = absl::Seconds(60);
  // These outlive the store. `stop`, `observer`: may be nullptr.
  const Clock* clock = Clock::Real();
  StopFlag* stop = nullptr;
  ObjectStoreObserver* observer = nullptr;
};

// All schemes in one.
std::shared_ptr<ObjectStore> MakeObjectStore(ObjectStoreOptions options = {});

}  // namespace navit

#endif  // NAVIT_COMMON_OBJECT_STORE_OBJECT_STORE_H_
