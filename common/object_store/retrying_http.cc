#include "common/object_store/retrying_http.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "common/log.h"
#include "common/object_store/s3_xml.h"
#include "common/status_macros.h"

namespace navit {
namespace {

absl::Status Named(absl::string_view name, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(name, ": ", status.message()));
}

// Why another attempt may help; empty: it cannot.
absl::string_view TransientReason(const absl::StatusOr<HttpReply>& reply) {
  if (reply.ok()) {
    switch (reply->status) {
      case 429:
        return "slow_down";
      case 503:
        return ParseS3Error(reply->body).code == "SlowDown" ? "slow_down" : "server_error";
      case 408:
        return "timeout";
      case 400:
        // S3's word for a body that came too slowly.
        return ParseS3Error(reply->body).code == "RequestTimeout" ? "timeout" : "";
      case 500:
      case 502:
      case 504:
        return "server_error";
      default:
        return "";
    }
  }
  switch (reply.status().code()) {
    case absl::StatusCode::kUnavailable:
      return "connection";
    case absl::StatusCode::kDeadlineExceeded:
      return "timeout";
    case absl::StatusCode::kDataLoss:
      return "short_body";
    default:
      return "";
  }
}

}  // namespace

RetryingHttp::RetryingHttp(const ObjectStoreOptions& options)
    : options_(options), client_(options.environment("AWS_CA_BUNDLE")) {}

absl::StatusOr<HttpReply> RetryingHttp::Send(
    absl::string_view scheme, absl::string_view name,
    const std::function<absl::StatusOr<HttpCall>()>& make) {
  StopFlag never;
  StopFlag* const stop = options_.stop != nullptr ? options_.stop : &never;
  const absl::Duration begin = options_.clock->SteadyNow();
  Backoff backoff(options_.backoff, SystemUniform(), begin + options_.retry_deadline);
  while (true) {
    NAVIT_ASSIGN_OR_RETURN(HttpCall call, make());
    const absl::Duration start = options_.clock->SteadyNow();
    // The last attempt may not outlast the deadline by much.
    const absl::Duration left = begin + options_.retry_deadline - start;
    call.total_timeout = std::min(call.total_timeout, std::max(left, absl::Seconds(10)));
    absl::StatusOr<HttpReply> reply = client_.Send(call);
    const absl::Duration end = options_.clock->SteadyNow();
    if (options_.observer != nullptr) {
      options_.observer->Request(
          scheme, reply.ok() ? absl::StrCat(reply->status) : std::string("error"), end - start);
    }
    const absl::string_view reason = TransientReason(reply);
    if (reason.empty()) {
      if (!reply.ok()) return Named(name, reply.status());
      return reply;
    }
    const absl::Status failure =
        reply.ok() ? StatusOfReply(*reply, name) : Named(name, reply.status());
    std::optional<absl::Duration> delay = backoff.Next(end);
    if (delay.has_value() && reply.ok()) delay = std::max(*delay, reply->retry_after);
    const absl::Status last = absl::UnavailableError(
        absl::StrCat(failure.message(), " (", backoff.attempts() + 1, " attempts in ",
                     absl::FormatDuration(end - begin), ")"));
    if (!delay.has_value() || end + *delay > begin + options_.retry_deadline || stop->stopped()) {
      return last;
    }
    NAVIT_LOG(DEBUG) << failure << "; again in " << *delay;
    if (options_.observer != nullptr) options_.observer->Retry(reason, *delay);
    if (!stop->SleepFor(*delay)) return last;
  }
}

absl::Status StatusOfReply(const HttpReply& reply, absl::string_view name) {
  const S3Error error = ParseS3Error(reply.body);
  std::string words = absl::StrCat(name, ": HTTP ", reply.status);
  if (!error.code.empty()) absl::StrAppend(&words, " ", error.code);
  if (!error.message.empty()) absl::StrAppend(&words, ": ", error.message);
  switch (reply.status) {
    case 404:
      return absl::NotFoundError(words);
    case 401:
    case 403:
      return absl::PermissionDeniedError(words);
    case 412:
      return absl::FailedPreconditionError(absl::StrCat(name, ": it changed while it was read"));
    default:
      return reply.status >= 400 && reply.status < 500 ? absl::FailedPreconditionError(words)
                                                       : absl::UnavailableError(words);
  }
}

}  // namespace navit
