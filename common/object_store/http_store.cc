#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/object_store/retrying_http.h"
#include "common/object_store/schemes.h"
#include "common/object_store/url.h"
#include "common/status_macros.h"

namespace navit {
namespace {

class HttpStore : public ObjectStore {
 public:
  explicit HttpStore(const ObjectStoreOptions& options) : http_(options) {}

  absl::StatusOr<ObjectInfo> Stat(const std::string& name) override {
    HttpCall call;
    call.method = "HEAD";
    NAVIT_ASSIGN_OR_RETURN(const HttpReply reply, Send(name, std::move(call)));
    if (reply.status != 200) return StatusOfReply(reply, Shown(name));
    ObjectInfo info;
    if (!absl::SimpleAtoi(reply.header("content-length"), &info.bytes)) {
      return absl::FailedPreconditionError(
          absl::StrCat(Shown(name), ": the server does not say how long it is"));
    }
    info.validator = StrongTag(reply);
    return info;
  }

  absl::StatusOr<ObjectInfo> Read(const std::string& name, uint64_t offset, uint64_t bytes,
                                  const std::string& validator, std::string* out) override {
    HttpCall call;
    call.headers["range"] = RangeHeader(offset, bytes);
    // A server without If-Match is caught by the tag of its reply.
    if (!validator.empty()) call.headers["if-match"] = validator;
    call.max_reply_bytes = std::max<uint64_t>(bytes, 1 << 16);
    absl::StatusOr<HttpReply> reply = Send(name, std::move(call));
    if (absl::IsResourceExhausted(reply.status())) {
      return absl::FailedPreconditionError(
          absl::StrCat(Shown(name), ": the server does not know range requests"));
    }
    NAVIT_RETURN_IF_ERROR(reply.status());
    NAVIT_ASSIGN_OR_RETURN(ObjectInfo info,
                           TakeRange(*std::move(reply), Shown(name), offset, bytes, out));
    if (!validator.empty() && info.validator != validator) {
      return absl::FailedPreconditionError(
          absl::StrCat(Shown(name), ": it changed while it was read"));
    }
    return info;
  }

  absl::StatusOr<std::vector<std::string>> Glob(const std::string& pattern) override {
    return absl::UnimplementedError(
        absl::StrCat(Shown(pattern), ": http has no listing; spell the names with {00000..00999}"));
  }

  absl::Status Write(const std::string& name, absl::string_view) override {
    return absl::FailedPreconditionError(absl::StrCat(Shown(name), ": http is only read"));
  }
  absl::Status Remove(const std::string& name) override { return Write(name, ""); }

 private:
  // A query may be a signature: it is no part of messages.
  static std::string Shown(const std::string& name) { return name.substr(0, name.find('?')); }

  absl::StatusOr<HttpReply> Send(const std::string& name, HttpCall call) {
    NAVIT_ASSIGN_OR_RETURN(const Url url, ParseUrl(name));
    call.url = absl::StrCat(url.scheme, "://", url.host, url.path);
    call.follow_redirects = true;
    return http_.Send(url.scheme, Shown(name), [&] { return call; });
  }

  RetryingHttp http_;
};

}  // namespace

std::string RangeHeader(uint64_t offset, uint64_t bytes) {
  return absl::StrCat("bytes=", offset, "-", offset + bytes - 1);
}

std::string StrongTag(const HttpReply& reply) {
  const absl::string_view tag = reply.header("etag");
  return absl::StartsWith(tag, "W/") ? "" : std::string(tag);
}

absl::StatusOr<ObjectInfo> TakeRange(HttpReply reply, absl::string_view name, uint64_t offset,
                                     uint64_t bytes, std::string* out) {
  if (reply.status == 416) {
    return absl::OutOfRangeError(absl::StrCat(name, ": byte ", offset, " lies behind its end"));
  }
  if (reply.status == 200) {
    return absl::FailedPreconditionError(
        absl::StrCat(name, ": the server does not know range requests"));
  }
  if (reply.status != 206) return StatusOfReply(reply, name);
  ObjectInfo info;
  // "bytes FIRST-LAST/TOTAL"
  const absl::string_view range = reply.header("content-range");
  const size_t slash = range.find('/');
  if (slash == absl::string_view::npos || !absl::SimpleAtoi(range.substr(slash + 1), &info.bytes) ||
      !absl::StartsWith(range, absl::StrCat("bytes ", offset, "-")) || offset >= info.bytes ||
      reply.body.size() != std::min(bytes, info.bytes - offset)) {
    return absl::FailedPreconditionError(
        absl::StrCat(name, ": asked for ", RangeHeader(offset, bytes), ", the server sent ",
                     reply.body.size(), " bytes and says ", range));
  }
  info.validator = StrongTag(reply);
  *out = std::move(reply.body);
  return info;
}

std::unique_ptr<ObjectStore> MakeHttpStore(const ObjectStoreOptions& options) {
  return std::make_unique<HttpStore>(options);
}

}  // namespace navit
