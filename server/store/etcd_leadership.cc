#include "server/store/etcd_leadership.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/clock.h"
#include "common/grpc_status.h"
#include "common/status_macros.h"
#include "third_party/etcd/rpc.grpc.pb.h"

namespace navit {

namespace etcd = ::etcdserverpb;

namespace {
// How long a standby leaves between two looks at the key.
constexpr absl::Duration kLookEvery = absl::Milliseconds(500);
}  // namespace

class EtcdLeadership::Impl {
 public:
  Impl(std::shared_ptr<grpc::Channel> channel, LeadershipOptions options)
      : options_(std::move(options)),
        kv_(etcd::KV::NewStub(channel)),
        lease_(etcd::Lease::NewStub(std::move(channel))) {
    key_.key = options_.key;
  }

  ~Impl() {
    stopping_.Stop();
    if (thread_.joinable()) thread_.join();
    if (lease_id_ != 0) Revoke();
  }

  absl::Status Campaign(StopFlag* stop, const std::function<void(const Obstacle&)>& waiting) {
    Obstacle last;
    bool told = false;
    while (true) {
      Obstacle now;
      now.error = Try(&now);
      if (key_.create_revision != 0) return absl::OkStatus();
      if (!told || now.create_revision != last.create_revision || now.error != last.error) {
        waiting(now);
      }
      told = true;
      last = std::move(now);
      if (!stop->SleepFor(kLookEvery)) {
        return absl::CancelledError("told to end while another coordinator leads");
      }
    }
  }

  void Watch(std::function<void(const absl::Status&)> on_lost) {
    thread_ = std::thread([this, on_lost = std::move(on_lost)] { KeepAlive(on_lost); });
  }

  const LeaderKey& key() const { return key_; }

 private:
  absl::Duration Interval() const { return options_.ttl / 4; }
  // For one call, which waits until etcd can be reached.
  void Prepare(grpc::ClientContext* context) const {
    context->set_wait_for_ready(true);
    SetDeadline(context, Interval());
  }
  static absl::Duration Now() { return Clock::Real()->SteadyNow(); }

  // Takes the key if nobody has it, which sets key_.create_revision; else names who has.
  absl::Status Try(Obstacle* obstacle) {
    {
      grpc::ClientContext context;
      Prepare(&context);
      etcd::RangeRequest request;
      etcd::RangeResponse reply;
      request.set_key(options_.key);
      NAVIT_RETURN_IF_ERROR(FromGrpcStatus(kv_->Range(&context, request, &reply), "etcd"));
      if (reply.kvs_size() > 0) {
        obstacle->leader = reply.kvs(0).value();
        obstacle->create_revision = reply.kvs(0).create_revision();
        return absl::OkStatus();
      }
    }
    NAVIT_RETURN_IF_ERROR(Grant());
    grpc::ClientContext context;
    Prepare(&context);
    etcd::TxnRequest request;
    etcd::TxnResponse reply;
    etcd::Compare* absent = request.add_compare();
    absent->set_target(etcd::Compare::CREATE);
    absent->set_key(options_.key);
    absent->set_create_revision(0);
    etcd::PutRequest* put = request.add_success()->mutable_request_put();
    put->set_key(options_.key);
    put->set_value(options_.holder);
    put->set_lease(lease_id_);
    const absl::Status status = FromGrpcStatus(kv_->Txn(&context, request, &reply), "etcd");
    if (status.ok() && reply.succeeded()) {
      key_.create_revision = reply.header().revision();
      return absl::OkStatus();
    }
    // Another one was faster; or the answer was lost, and the key may be there without our knowing.
    Revoke();
    return status;
  }

  absl::Status Grant() {
    grpc::ClientContext context;
    Prepare(&context);
    etcd::LeaseGrantRequest request;
    etcd::LeaseGrantResponse reply;
    request.set_ttl(absl::ToInt64Seconds(options_.ttl));
    renewed_at_ = Now();
    NAVIT_RETURN_IF_ERROR(FromGrpcStatus(lease_->LeaseGrant(&context, request, &reply), "etcd"));
    lease_id_ = reply.id();
    return absl::OkStatus();
  }

  // Best effort: what does not reach etcd, the lease's end does.
  void Revoke() {
    etcd::LeaseRevokeRequest request;
    etcd::LeaseRevokeResponse reply;
    request.set_id(std::exchange(lease_id_, 0));
    grpc::ClientContext context;
    Prepare(&context);
    (void)lease_->LeaseRevoke(&context, request, &reply);
  }

  // NOT_FOUND: etcd knows no such lease any more.
  absl::Status Renew() {
    const absl::Duration asked_at = Now();
    grpc::ClientContext context;
    Prepare(&context);
    const auto stream = lease_->LeaseKeepAlive(&context);
    etcd::LeaseKeepAliveRequest request;
    request.set_id(lease_id_);
    etcd::LeaseKeepAliveResponse reply;
    const bool answered = stream->Write(request) && stream->Read(&reply);
    stream->WritesDone();
    if (!answered) {
      const absl::Status status = FromGrpcStatus(stream->Finish());
      return status.ok() ? absl::UnavailableError("etcd ended the stream") : status;
    }
    context.TryCancel();
    stream->Finish();
    if (reply.ttl() <= 0) return absl::NotFoundError("etcd has ended the lease");
    renewed_at_ = asked_at;
    return absl::OkStatus();
  }

  void KeepAlive(const std::function<void(const absl::Status&)>& on_lost) {
    while (stopping_.SleepFor(Interval())) {
      const absl::Status status = Renew();
      if (status.ok()) continue;
      if (!absl::IsNotFound(status) && Now() - renewed_at_ < options_.ttl) continue;
      on_lost(absl::AbortedError(absl::StrCat("the lead is lost: its lease of ",
                                              absl::FormatDuration(options_.ttl),
                                              " was not renewed in time: ", status.message())));
      return;
    }
  }

  const LeadershipOptions options_;
  const std::unique_ptr<etcd::KV::Stub> kv_;
  const std::unique_ptr<etcd::Lease::Stub> lease_;
  LeaderKey key_;
  // 0: none.
  int64_t lease_id_ = 0;
  // Steady time from before the request that renewed the lease.
  absl::Duration renewed_at_;
  StopFlag stopping_;
  std::thread thread_;
};

absl::StatusOr<std::unique_ptr<EtcdLeadership>> EtcdLeadership::Campaign(
    std::shared_ptr<grpc::Channel> channel, LeadershipOptions options, StopFlag* stop,
    const std::function<void(const Obstacle&)>& waiting) {
  auto impl = std::make_unique<Impl>(std::move(channel), std::move(options));
  NAVIT_RETURN_IF_ERROR(impl->Campaign(stop, waiting));
  return std::unique_ptr<EtcdLeadership>(new EtcdLeadership(std::move(impl)));
}

EtcdLeadership::EtcdLeadership(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
EtcdLeadership::~EtcdLeadership() = default;
void EtcdLeadership::Watch(std::function<void(const absl::Status&)> on_lost) {
  impl_->Watch(std::move(on_lost));
}
const LeaderKey& EtcdLeadership::key() const { return impl_->key(); }

}  // namespace navit
