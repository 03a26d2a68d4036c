#include "server/services/calls.h"

#include <algorithm>

#include "common/version.h"

namespace navit {
namespace {

class WaitingCall : public grpc::ServerUnaryReactor, public Waiter {
 public:
  WaitingCall(const ServiceContext& context, grpc::CallbackServerContext* call, const char* method,
              WaitingCallback callback)
      : call_(call), measured_(context, method), callback_(std::move(callback)) {
    // The answer must arrive before the caller gives up.
    const absl::Duration left = RemainingTime(*call);
    answer_by_ = host()->SteadyNow() + left - std::min(absl::Milliseconds(300), left / 5);
  }

  void Begin(std::shared_ptr<WaitingCall> self) {
    self_ = std::move(self);
    const grpc::Status checked = CheckCall(*call_);
    if (!checked.ok()) {
      absl::MutexLock lock(&mutex_);
      return End(checked);
    }
    waiter_ = host()->AddWaiter(self_);
  }

  void Poll() override {
    absl::MutexLock lock(&mutex_);
    if (finished_) return;
    if (host()->draining()) return Abandon(ToGrpcStatus(DrainingError()));
    // A lease must not be given to a caller that has gone.
    if (call_->IsCancelled()) return Abandon(grpc::Status::CANCELLED);
    if (const std::optional<absl::Status> answer = callback_.attempt()) {
      return End(ToGrpcStatus(*answer));
    }
    if (host()->SteadyNow() >= answer_by_) {
      const grpc::Status status = ToGrpcStatus(callback_.timed_out());
      if (!status.ok()) return Abandon(status);
      End(status);
    }
  }

  void OnCancel() override {
    absl::MutexLock lock(&mutex_);
    if (!finished_) Abandon(grpc::Status::CANCELLED);
  }

  void OnDone() override {
    host()->RemoveWaiter(waiter_);
    const std::shared_ptr<WaitingCall> self = std::move(self_);
  }

 private:
  CoordinatorHost* host() const { return measured_.context().host; }

  void Abandon(const grpc::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (callback_.abandoned) callback_.abandoned();
    End(status);
  }
  void End(const grpc::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    finished_ = true;
    measured_.End(status.error_code());
    Finish(status);
  }

  grpc::CallbackServerContext* const call_;
  MeasuredCall measured_;
  const WaitingCallback callback_;
  absl::Duration answer_by_;
  uint64_t waiter_ = 0;
  // Until OnDone: gRPC holds a bare pointer.
  std::shared_ptr<WaitingCall> self_;

  absl::Mutex mutex_;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace

absl::Status CheckClientVersion(const grpc::CallbackServerContext& call) {
  const auto& metadata = call.client_metadata();
  const auto found = metadata.find(kVersionMetadata);
  // Clients of others (grpcurl) say none.
  if (found == metadata.end()) return absl::OkStatus();
  return CheckPeerVersion("this client", {found->second.data(), found->second.size()});
}

grpc::Status CheckCall(const grpc::CallbackServerContext& call) {
  const grpc::Status deadline = RequireDeadline(call);
  return deadline.ok() ? ToGrpcStatus(CheckClientVersion(call)) : deadline;
}

grpc::ServerUnaryReactor* AnswerLater(const ServiceContext& context,
                                      grpc::CallbackServerContext* call, const char* method,
                                      WaitingCallback callback) {
  auto waiting = std::make_shared<WaitingCall>(context, call, method, std::move(callback));
  waiting->Begin(waiting);
  return waiting.get();
}

}  // namespace navit
