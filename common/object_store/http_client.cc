#include "common/object_store/http_client.h"

#include <curl/curl.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"

namespace navit {
namespace {

// What the callbacks of one call write to.
struct Transfer {
  const HttpCall* call;
  HttpReply* reply;
  size_t sent = 0;
  bool too_long = false;
};

size_t OnHeader(char* data, size_t size, size_t count, void* context) {
  HttpReply* reply = static_cast<Transfer*>(context)->reply;
  const absl::string_view line(data, size * count);
  if (absl::StartsWith(line, "HTTP/")) reply->headers.clear();
  const size_t colon = line.find(':');
  if (colon != absl::string_view::npos) {
    reply->headers[absl::AsciiStrToLower(line.substr(0, colon))] =
        std::string(absl::StripAsciiWhitespace(line.substr(colon + 1)));
  }
  return line.size();
}

size_t OnBody(char* data, size_t size, size_t count, void* context) {
  auto* transfer = static_cast<Transfer*>(context);
  std::string& body = transfer->reply->body;
  const size_t bytes = size * count;
  if (bytes > transfer->call->max_reply_bytes - body.size()) {
    transfer->too_long = true;
    return 0;
  }
  if (body.empty()) {
    uint64_t announced = 0;
    if (absl::SimpleAtoi(transfer->reply->header("content-length"), &announced)) {
      body.reserve(std::min(announced, transfer->call->max_reply_bytes));
    }
  }
  body.append(data, bytes);
  return bytes;
}

size_t OnSend(char* buffer, size_t size, size_t count, void* context) {
  auto* transfer = static_cast<Transfer*>(context);
  const absl::string_view rest = transfer->call->body.substr(transfer->sent);
  const size_t now = std::min(rest.size(), size * count);
  std::memcpy(buffer, rest.data(), now);
  transfer->sent += now;
  return now;
}

// libcurl goes back to the start of a body when a kept connection turns out to be closed.
int OnSeek(void* context, curl_off_t offset, int origin) {
  if (origin != SEEK_SET) return CURL_SEEKFUNC_CANTSEEK;
  static_cast<Transfer*>(context)->sent = static_cast<size_t>(offset);
  return CURL_SEEKFUNC_OK;
}

absl::Status ErrorOf(CURLcode code, const char* details) {
  const std::string words = *details != '\0' ? details : curl_easy_strerror(code);
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return absl::DeadlineExceededError(words);
    case CURLE_PARTIAL_FILE:
      return absl::DataLossError(words);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
      return absl::FailedPreconditionError(words);
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_TOO_MANY_REDIRECTS:
      return absl::InvalidArgumentError(words);
    default:
      return absl::UnavailableError(words);
  }
}

long Milliseconds(absl::Duration duration) {
  return static_cast<long>(std::max<int64_t>(1, absl::ToInt64Milliseconds(duration)));
}

}  // namespace

struct HttpClient::Pool {
  absl::Mutex mutex;
  // The most recently used last: its connection is the likeliest to be open still.
  std::vector<CURL*> idle ABSL_GUARDED_BY(mutex);

  CURL* Take() {
    {
      absl::MutexLock lock(&mutex);
      if (!idle.empty()) {
        CURL* handle = idle.back();
        idle.pop_back();
        return handle;
      }
    }
    return curl_easy_init();
  }
  void Return(CURL* handle) {
    // Options go, connections stay.
    curl_easy_reset(handle);
    absl::MutexLock lock(&mutex);
    idle.push_back(handle);
  }
};

HttpClient::HttpClient(std::string ca_bundle)
    : ca_bundle_(std::move(ca_bundle)), pool_(std::make_unique<Pool>()) {
  static const CURLcode initialised = curl_global_init(CURL_GLOBAL_DEFAULT);
  static_cast<void>(initialised);
}

HttpClient::~HttpClient() {
  absl::MutexLock lock(&pool_->mutex);
  for (CURL* handle : pool_->idle) curl_easy_cleanup(handle);
}

absl::StatusOr<HttpReply> HttpClient::Send(const HttpCall& call) {
  CURL* const handle = pool_->Take();
  if (handle == nullptr) return absl::ResourceExhaustedError("libcurl has no memory for a handle");
  curl_slist* headers = nullptr;
  const auto give_back = absl::MakeCleanup([&] {
    curl_slist_free_all(headers);
    pool_->Return(handle);
  });
  HttpReply reply;
  Transfer transfer{&call, &reply};
  char details[CURL_ERROR_SIZE] = "";

  const auto set = [handle](CURLoption option, auto value) {
    curl_easy_setopt(handle, option, value);
  };
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_ERRORBUFFER, details);
  set(CURLOPT_URL, call.url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  // The path is signed and sent as it is written.
  set(CURLOPT_PATH_AS_IS, 1L);
  set(CURLOPT_FOLLOWLOCATION, call.follow_redirects ? 1L : 0L);
  set(CURLOPT_MAXREDIRS, 5L);
  set(CURLOPT_CONNECTTIMEOUT_MS, Milliseconds(call.connect_timeout));
  set(CURLOPT_TIMEOUT_MS, Milliseconds(call.total_timeout));
  set(CURLOPT_LOW_SPEED_LIMIT, 64L);
  set(CURLOPT_LOW_SPEED_TIME,
      std::max(1L, static_cast<long>(absl::ToInt64Seconds(call.stall_timeout))));
  set(CURLOPT_BUFFERSIZE, 256L << 10);
  set(CURLOPT_TCP_KEEPALIVE, 1L);
  if (call.direct) set(CURLOPT_NOPROXY, "*");
  if (!ca_bundle_.empty()) set(CURLOPT_CAINFO, ca_bundle_.c_str());
  set(CURLOPT_HEADERFUNCTION, &OnHeader);
  set(CURLOPT_HEADERDATA, &transfer);
  set(CURLOPT_WRITEFUNCTION, &OnBody);
  set(CURLOPT_WRITEDATA, &transfer);
  if (call.method == "HEAD") {
    set(CURLOPT_NOBODY, 1L);
  } else if (call.method == "PUT" || call.method == "POST") {
    set(call.method == "PUT" ? CURLOPT_UPLOAD : CURLOPT_POST, 1L);
    set(CURLOPT_READFUNCTION, &OnSend);
    set(CURLOPT_READDATA, &transfer);
    set(CURLOPT_SEEKFUNCTION, &OnSeek);
    set(CURLOPT_SEEKDATA, &transfer);
    set(call.method == "PUT" ? CURLOPT_INFILESIZE_LARGE : CURLOPT_POSTFIELDSIZE_LARGE,
        static_cast<curl_off_t>(call.body.size()));
    // Bodies are small: waiting for 100-continue would cost a round trip.
    headers = curl_slist_append(headers, "Expect:");
  } else if (call.method != "GET") {
    set(CURLOPT_CUSTOMREQUEST, call.method.c_str());
  }
  for (const auto& [name, value] : call.headers) {
    headers = curl_slist_append(headers, absl::StrCat(name, ": ", value).c_str());
  }
  set(CURLOPT_HTTPHEADER, headers);

  const CURLcode code = curl_easy_perform(handle);
  if (transfer.too_long) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the reply is longer than ", call.max_reply_bytes, " bytes"));
  }
  if (code != CURLE_OK) return ErrorOf(code, details);
  long status = 0;
  curl_off_t retry_after = 0;
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo(handle, CURLINFO_RETRY_AFTER, &retry_after);
  reply.status = static_cast<int>(status);
  reply.retry_after = absl::Seconds(retry_after);
  return reply;
}

}  // namespace navit
