// S3 by its REST API: GET with Range and If-Match, HEAD, PUT, DELETE, ListObjectsV2.
#include <fnmatch.h>

#include <algorithm>
#include <map>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/object_store/aws_credentials.h"
#include "common/object_store/aws_signature.h"
#include "common/object_store/retrying_http.h"
#include "common/object_store/s3_xml.h"
#include "common/object_store/schemes.h"
#include "common/object_store/url.h"
#include "common/status_macros.h"

namespace navit {
namespace {

// One request of S3, before it has a host, a region and a signature.
struct S3Call {
  std::string method = "GET";
  Url object;
  std::vector<std::pair<std::string, std::string>> query;
  std::map<std::string, std::string> headers;
  absl::string_view body;
  uint64_t max_reply_bytes = uint64_t{64} << 20;
};

class S3Store : public ObjectStore {
 public:
  explicit S3Store(const ObjectStoreOptions& options)
      : options_(options),
        http_(options),
        credentials_(options),
        region_(AwsRegion(options.environment)) {
    endpoint_ = options.environment("AWS_ENDPOINT_URL_S3");
    if (endpoint_.empty()) endpoint_ = options.environment("AWS_ENDPOINT_URL");
  }

  absl::StatusOr<ObjectInfo> Stat(const std::string& name) override {
    S3Call call;
    NAVIT_ASSIGN_OR_RETURN(call.object, ParseObject(name));
    call.method = "HEAD";
    NAVIT_ASSIGN_OR_RETURN(const HttpReply reply, Send(name, std::move(call)));
    if (reply.status != 200) return StatusOfReply(reply, name);
    ObjectInfo info;
    if (!absl::SimpleAtoi(reply.header("content-length"), &info.bytes)) {
      return absl::FailedPreconditionError(
          absl::StrCat(name, ": the server does not say how long it is"));
    }
    info.validator = StrongTag(reply);
    return info;
  }

  absl::StatusOr<ObjectInfo> Read(const std::string& name, uint64_t offset, uint64_t bytes,
                                  const std::string& validator, std::string* out) override {
    S3Call call;
    NAVIT_ASSIGN_OR_RETURN(call.object, ParseObject(name));
    call.headers["range"] = RangeHeader(offset, bytes);
    if (!validator.empty()) call.headers["if-match"] = validator;
    call.max_reply_bytes = std::max<uint64_t>(bytes, 1 << 16);
    NAVIT_ASSIGN_OR_RETURN(HttpReply reply, Send(name, std::move(call)));
    if (reply.status >= 300 && reply.status != 416) return StatusOfReply(reply, name);
    NAVIT_ASSIGN_OR_RETURN(const ObjectInfo info,
                           TakeRange(std::move(reply), name, offset, bytes, out));
    if (!validator.empty() && info.validator != validator) {
      return absl::FailedPreconditionError(absl::StrCat(name, ": it changed while it was read"));
    }
    return info;
  }

  absl::StatusOr<std::vector<std::string>> Glob(const std::string& pattern) override {
    NAVIT_ASSIGN_OR_RETURN(const Url url, ParseUrl(pattern));
    const std::string prefix = url.path.substr(0, url.path.find_first_of("*?[\\"));
    S3Call call;
    call.object = {url.scheme, url.host, ""};
    call.query = {{"list-type", "2"}, {"encoding-type", "url"}, {"prefix", prefix}};
    // Without folders behind the first wildcard, what lies in deeper ones need not be listed.
    if (!absl::StrContains(absl::string_view(url.path).substr(prefix.size()), '/')) {
      call.query.emplace_back("delimiter", "/");
    }
    std::vector<std::string> names;
    std::string token;
    do {
      S3Call next = call;
      if (!token.empty()) next.query.emplace_back("continuation-token", token);
      NAVIT_ASSIGN_OR_RETURN(const HttpReply reply, Send(pattern, std::move(next)));
      if (reply.status != 200) return StatusOfReply(reply, pattern);
      absl::StatusOr<S3ListPage> page = ParseS3List(reply.body);
      if (!page.ok()) {
        return absl::Status(page.status().code(),
                            absl::StrCat(pattern, ": ", page.status().message()));
      }
      for (const std::string& key : page->keys) {
        if (fnmatch(url.path.c_str(), key.c_str(), FNM_PATHNAME) == 0) {
          names.push_back(absl::StrCat("s3://", url.host, "/", key));
        }
      }
      token = page->continuation_token;
    } while (!token.empty());
    std::sort(names.begin(), names.end());
    return names;
  }

  absl::Status Write(const std::string& name, absl::string_view bytes) override {
    S3Call call;
    NAVIT_ASSIGN_OR_RETURN(call.object, ParseObject(name));
    call.method = "PUT";
    call.body = bytes;
    NAVIT_ASSIGN_OR_RETURN(const HttpReply reply, Send(name, std::move(call)));
    return reply.status == 200 ? absl::OkStatus() : StatusOfReply(reply, name);
  }

  absl::Status Remove(const std::string& name) override {
    S3Call call;
    NAVIT_ASSIGN_OR_RETURN(call.object, ParseObject(name));
    call.method = "DELETE";
    NAVIT_ASSIGN_OR_RETURN(const HttpReply reply, Send(name, std::move(call)));
    // An object that was not there is 204 too; a 404 is about the bucket.
    return reply.status == 204 || reply.status == 200 ? absl::OkStatus()
                                                      : StatusOfReply(reply, name);
  }

 private:
  static absl::StatusOr<Url> ParseObject(const std::string& name) {
    NAVIT_ASSIGN_OR_RETURN(Url url, ParseUrl(name));
    if (url.path.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(name, ": names a bucket, but no object"));
    }
    return url;
  }

  std::string RegionOf(const std::string& bucket) const {
    absl::MutexLock lock(&mutex_);
    const auto found = bucket_regions_.find(bucket);
    return found == bucket_regions_.end() ? region_ : found->second;
  }

  absl::StatusOr<HttpReply> Send(const std::string& name, S3Call call) {
    const std::string hash = Sha256Hex(call.body);
    const std::string& bucket = call.object.host;
    AwsCredentials used;
    const auto make = [&]() -> absl::StatusOr<HttpCall> {
      absl::StatusOr<AwsCredentials> credentials = credentials_.Get();
      if (!credentials.ok()) {
        return absl::Status(credentials.status().code(),
                            absl::StrCat(name, ": ", credentials.status().message()));
      }
      used = *std::move(credentials);
      return Signed(call, used, hash);
    };
    NAVIT_ASSIGN_OR_RETURN(HttpReply reply, http_.Send("s3", name, make));
    if (reply.status < 300) return reply;
    // What a second request can put right: another region, credentials that have expired meanwhile
    // (the reply to a HEAD has no code: any 400 may be that).
    const std::string region(reply.header("x-amz-bucket-region"));
    const std::string code = ParseS3Error(reply.body).code;
    if ((reply.status == 301 || reply.status == 307 || reply.status == 400) && !region.empty() &&
        region != RegionOf(bucket)) {
      absl::MutexLock lock(&mutex_);
      bucket_regions_[bucket] = region;
    } else if (code == "ExpiredToken" || code == "TokenRefreshRequired" ||
               (reply.status == 400 && call.method == "HEAD" && !used.session_token.empty())) {
      credentials_.Reject(used);
      if (options_.observer != nullptr) {
        options_.observer->Retry("credentials", absl::ZeroDuration());
      }
    } else {
      return reply;
    }
    return http_.Send("s3", name, make);
  }

  HttpCall Signed(const S3Call& call, const AwsCredentials& credentials,
                  const std::string& hash) const {
    const std::string& bucket = call.object.host;
    const std::string region = RegionOf(bucket);
    std::string endpoint = endpoint_;
    const bool given = !endpoint.empty();
    if (!given) {
      endpoint = absl::StrCat("https://s3.", region, ".amazonaws.com",
                              absl::StartsWith(region, "cn-") ? ".cn" : "");
    }
    const size_t host_begin = endpoint.find("://") + 3;
    const std::string scheme = endpoint.substr(0, host_begin);
    std::string host = endpoint.substr(host_begin);
    std::string path;
    if (const size_t slash = host.find('/'); slash != std::string::npos) {
      path = host.substr(slash);
      host.resize(slash);
      while (!path.empty() && path.back() == '/') path.pop_back();
    }
    using Addressing = ObjectStoreOptions::Addressing;
    const bool in_path = options_.addressing == Addressing::kPath ||
                         (options_.addressing == Addressing::kAutomatic &&
                          (given || absl::StrContains(bucket, '.')));
    if (in_path) {
      absl::StrAppend(&path, "/", PercentEncode(bucket, false));
    } else {
      host = absl::StrCat(bucket, ".", host);
    }
    absl::StrAppend(&path, "/", PercentEncode(call.object.path, true));

    HttpCall sent;
    sent.method = call.method;
    sent.body = call.body;
    sent.max_reply_bytes = call.max_reply_bytes;
    const std::string query = CanonicalQuery(call.query);
    sent.url = absl::StrCat(scheme, host, path, query.empty() ? "" : "?", query);
    // libcurl leaves the scheme's own port out of Host.
    const absl::string_view own_port = scheme == "https://" ? ":443" : ":80";
    if (absl::EndsWith(host, own_port)) host.resize(host.size() - own_port.size());
    sent.headers = SignAwsRequest({call.method, host, path, call.query, call.headers, hash},
                                  credentials, region, "s3", options_.clock->UnixNow());
    return sent;
  }

  const ObjectStoreOptions options_;
  RetryingHttp http_;
  AwsCredentialsSource credentials_;
  const std::string region_;
  std::string endpoint_;

  mutable absl::Mutex mutex_;
  // Of buckets that a reply said to lie elsewhere.
  std::map<std::string, std::string> bucket_regions_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

std::unique_ptr<ObjectStore> MakeS3Store(const ObjectStoreOptions& options) {
  return std::make_unique<S3Store>(options);
}

}  // namespace navit
