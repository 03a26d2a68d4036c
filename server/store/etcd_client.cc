#include "server/store/etcd_client.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/clock.h"
#include "common/grpc_status.h"
#include "common/status_macros.h"

namespace navit {

namespace etcd = ::etcdserverpb;

namespace {
constexpr int64_t kPageKeys = 256;
constexpr absl::Duration kRetryPause = absl::Milliseconds(100);
}  // namespace

EtcdClient::EtcdClient(std::shared_ptr<grpc::Channel> channel, absl::Duration timeout)
    : kv_(etcd::KV::NewStub(std::move(channel))), timeout_(timeout) {}

template <typename Request, typename Reply>
absl::StatusOr<Reply> EtcdClient::Call(grpc::Status (etcd::KV::Stub::*method)(grpc::ClientContext*,
                                                                              const Request&,
                                                                              Reply*),
                                       const Request& request) const {
  const absl::Duration end = Clock::Real()->SteadyNow() + timeout_;
  while (true) {
    const absl::Duration left = end - Clock::Real()->SteadyNow();
    grpc::ClientContext context;
    // gRPC connects while a call waits; it does not between calls.
    context.set_wait_for_ready(true);
    // A member that hangs is given up while there is time to ask another one.
    SetDeadline(&context, std::clamp(left, absl::Milliseconds(1), timeout_ / 3));
    Reply reply;
    const absl::Status status = FromGrpcStatus((kv_.get()->*method)(&context, request, &reply));
    if (status.ok()) return reply;
    const bool may_pass = absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
    if (!may_pass) return absl::Status(status.code(), absl::StrCat("etcd: ", status.message()));
    if (Clock::Real()->SteadyNow() + kRetryPause > end) {
      return absl::UnavailableError(absl::StrCat(
          "etcd: no answer within ", absl::FormatDuration(timeout_), ": ", status.message()));
    }
    absl::SleepFor(kRetryPause);
  }
}

absl::StatusOr<etcd::TxnResponse> EtcdClient::Txn(const etcd::TxnRequest& request) const {
  return Call(&etcd::KV::Stub::Txn, request);
}

absl::StatusOr<std::optional<std::string>> EtcdClient::Get(const std::string& key) const {
  etcd::RangeRequest request;
  request.set_key(key);
  NAVIT_ASSIGN_OR_RETURN(const etcd::RangeResponse reply, Call(&etcd::KV::Stub::Range, request));
  if (reply.kvs_size() == 0) return std::nullopt;
  return reply.kvs(0).value();
}

absl::Status EtcdClient::ForEach(
    const std::string& prefix,
    const std::function<absl::Status(const std::string& key, const std::string& value)>& see)
    const {
  etcd::RangeRequest request;
  request.set_key(prefix);
  request.set_range_end(PrefixEnd(prefix));
  request.set_limit(kPageKeys);
  while (true) {
    NAVIT_ASSIGN_OR_RETURN(const etcd::RangeResponse reply, Call(&etcd::KV::Stub::Range, request));
    for (const etcd::KeyValue& kv : reply.kvs()) NAVIT_RETURN_IF_ERROR(see(kv.key(), kv.value()));
    if (!reply.more()) return absl::OkStatus();
    // Later pages show the moment of the first.
    if (request.revision() == 0) request.set_revision(reply.header().revision());
    request.set_key(reply.kvs(reply.kvs_size() - 1).key() + '\0');
  }
}

std::string PrefixEnd(std::string prefix) {
  ++prefix.back();
  return prefix;
}

}  // namespace navit
