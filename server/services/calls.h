// How the services answer: at once, when core has the answer, or as a stream. Every form measures
// itself, and ends with UNAVAILABLE while the coordinator drains.
#ifndef NAVIT_SERVER_SERVICES_CALLS_H_
#define NAVIT_SERVER_SERVICES_CALLS_H_

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/grpc_status.h"
#include "server/host.h"
#include "server/metrics.h"

namespace navit {

// What every service needs; outlives the server.
struct ServiceContext {
  CoordinatorHost* host;
  ServerMetrics* metrics;
};

inline absl::Status DrainingError() {
  return absl::UnavailableError("the coordinator is going down; try again");
}

// INVALID_ARGUMENT: the call has no deadline. FAILED_PRECONDITION: the client says its version, and
// this coordinator does not work with it.
grpc::Status CheckCall(const grpc::CallbackServerContext& call);
// The latter alone, for streams.
absl::Status CheckClientVersion(const grpc::CallbackServerContext& call);

// Duration and number in flight of one call.
class MeasuredCall {
 public:
  MeasuredCall(const ServiceContext& context, std::string method)
      : context_(context), method_(std::move(method)), began_(context.host->SteadyNow()) {
    context_.metrics->RpcBegan(method_);
  }
  void End(int code) {
    context_.metrics->RpcEnded(method_, code, context_.host->SteadyNow() - began_);
  }
  const ServiceContext& context() const { return context_; }

 private:
  const ServiceContext context_;
  const std::string method_;
  const absl::Duration began_;
};

// Moves a reply into place.
template <typename Reply>
absl::Status Put(absl::StatusOr<Reply> reply, Reply* to) {
  if (reply.ok()) *to = *std::move(reply);
  return reply.status();
}

// A call whose answer is there at once: f() fills the reply and returns the status.
template <typename F>
grpc::ServerUnaryReactor* Answer(const ServiceContext& context, grpc::CallbackServerContext* call,
                                 const char* method, F&& f) {
  MeasuredCall measured(context, method);
  grpc::Status status = CheckCall(*call);
  if (status.ok()) status = ToGrpcStatus(context.host->draining() ? DrainingError() : f());
  measured.End(status.error_code());
  grpc::ServerUnaryReactor* reactor = call->DefaultReactor();
  reactor->Finish(status);
  return reactor;
}

struct WaitingCallback {
  // The answer, once there is one. Fills the reply.
  std::function<std::optional<absl::Status>()> attempt;
  // The answer shortly before the caller's deadline. Fills the reply.
  std::function<absl::Status()> timed_out;
  // The caller went away before there was an answer; may be empty.
  std::function<void()> abandoned;
};

// A call that waits for core without holding a thread. INVALID_ARGUMENT without a deadline.
grpc::ServerUnaryReactor* AnswerLater(const ServiceContext& context,
                                      grpc::CallbackServerContext* call, const char* method,
                                      WaitingCallback callback);

// A stream out of the coordinator, driven by changes of core's state. One write at a time; ends
// once, after the write in flight; a write that does not get through while the stream is to end is
// given 10 s and then cancelled, so that a consumer that stopped holds nothing.
template <typename Reactor>
class ServerStream : public Reactor, public Waiter {
 public:
  ServerStream(const ServiceContext& context, grpc::CallbackServerContext* call, const char* method)
      : call_(call), measured_(context, method) {}

  // Call once, right after construction.
  void Begin(std::shared_ptr<ServerStream> self) {
    self_ = std::move(self);
    // Before the first Poll, which a waiter gets from another thread at once.
    if (const absl::Status version = CheckClientVersion(*call_); !version.ok()) {
      absl::MutexLock lock(&mutex_);
      End(version);
    }
    waiter_ = host()->AddWaiter(self_);
  }

  void Poll() override {
    absl::MutexLock lock(&mutex_);
    if (done_) return;
    if (finishing_) {
      if (!finished_ && host()->SteadyNow() - finishing_since_ > absl::Seconds(10)) {
        call_->TryCancel();
      }
      return;
    }
    if (host()->draining()) return End(DrainingError());
    Continue();
  }

  void OnWriteDone(bool ok) override {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    if (finishing_) return FinishNow();
    if (!ok) return End(absl::CancelledError("the stream broke"));
    Continue();
  }

  void OnCancel() override {
    absl::MutexLock lock(&mutex_);
    End(absl::CancelledError("cancelled by the caller"));
  }

  void OnDone() override {
    {
      absl::MutexLock lock(&mutex_);
      done_ = true;
    }
    Closed();
    measured_.End(final_.error_code());
    host()->RemoveWaiter(waiter_);
    const std::shared_ptr<ServerStream> self = std::move(self_);
  }

 protected:
  // Something may have changed: write, or end. Not called when the stream is to end.
  virtual void Continue() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) = 0;
  // The stream is over, however it ended.
  virtual void Closed() {}

  // `more`: another message stands ready behind this one, so that both may go out together. Not
  // before the first message has gone: gRPC takes a first message with a buffer hint as
  // written only when something else, in the end a keepalive, has flushed the call's metadata.
  template <typename Message>
  void Write(const Message* message, bool more = false) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    writing_ = true;
    grpc::WriteOptions options;
    if (more && wrote_) options.set_buffer_hint();
    wrote_ = true;
    this->StartWrite(message, options);
  }

  void End(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (finishing_) return;
    finishing_ = true;
    finishing_since_ = host()->SteadyNow();
    final_ = ToGrpcStatus(status);
    if (!writing_) FinishNow();
  }

  CoordinatorHost* host() const { return measured_.context().host; }
  ServerMetrics* metrics() const { return measured_.context().metrics; }
  bool writing() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return writing_; }
  bool ending() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return finishing_; }

  absl::Mutex mutex_;

 private:
  void FinishNow() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (finished_) return;
    finished_ = true;
    this->Finish(final_);
  }

  grpc::CallbackServerContext* const call_;
  MeasuredCall measured_;
  uint64_t waiter_ = 0;
  // Until OnDone: gRPC holds a bare pointer.
  std::shared_ptr<ServerStream> self_;

  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool wrote_ ABSL_GUARDED_BY(mutex_) = false;
  bool finishing_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Duration finishing_since_ ABSL_GUARDED_BY(mutex_);
  grpc::Status final_;
};

}  // namespace navit

#endif  // NAVIT_SERVER_SERVICES_CALLS_H_
