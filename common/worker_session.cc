#include "common/worker_session.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/grpc_status.h"
#include "common/log.h"
#include "common/status_macros.h"
#include "common/wakeup.h"
#include "proto/fleet.grpc.pb.h"

namespace navit {

class WorkerSession::Impl {
 public:
  Impl(WorkerSessionOptions options, WorkerSessionDelegate* delegate,
       std::shared_ptr<grpc::Channel> channel)
      : options_(std::move(options)),
        delegate_(delegate),
        stub_(v1::Fleet::NewStub(std::move(channel))),
        last_contact_(options_.clock->SteadyNow()),
        thread_([this] { Run(); }) {}

  ~Impl() { Stop(); }

  void ReportChanged() { wakeup_.Ring(); }

  void Stop() {
    {
      absl::MutexLock lock(&mutex_);
      stopping_ = true;
      if (context_ != nullptr) context_->TryCancel();
    }
    wakeup_.Ring();
    if (thread_.joinable()) thread_.join();
  }

 private:
  absl::Duration Now() const { return options_.clock->SteadyNow(); }

  // A point of steady time that two threads share. (std::atomic<absl::Duration> is not lock-free.)
  class SharedTime {
   public:
    explicit SharedTime(absl::Duration time) : nanoseconds_(absl::ToInt64Nanoseconds(time)) {}
    void Set(absl::Duration time) { nanoseconds_ = absl::ToInt64Nanoseconds(time); }
    absl::Duration Get() const { return absl::Nanoseconds(nanoseconds_.load()); }

   private:
    std::atomic<int64_t> nanoseconds_;
  };

  bool stopping() {
    absl::MutexLock lock(&mutex_);
    return stopping_;
  }

  // Makes `context` the call that Stop cancels, while it lives.
  class CurrentCall {
   public:
    CurrentCall(Impl* impl, grpc::ClientContext* context) : impl_(impl) {
      absl::MutexLock lock(&impl_->mutex_);
      impl_->context_ = context;
      if (impl_->stopping_) context->TryCancel();
    }
    ~CurrentCall() {
      absl::MutexLock lock(&impl_->mutex_);
      impl_->context_ = nullptr;
    }

   private:
    Impl* const impl_;
  };

  void Run() {
    Backoff backoff(options_.backoff, SystemUniform());
    bool registered = false;
    while (!stopping()) {
      absl::Status status;
      if (!registered) {
        status = Register();
        registered = status.ok();
        if (!status.ok() && !WorthRetrying(status)) return End(status);
      }
      if (registered) {
        const absl::Duration before = last_contact_.Get();
        status = Heartbeat();
        if (stopping()) return;
        if (absl::IsUnauthenticated(status)) return End(status);
        if (register_again_.exchange(false) || absl::IsNotFound(status)) registered = false;
        if (last_contact_.Get() > before) backoff.Reset();
      }
      if (stopping()) return;
      const absl::Duration now = Now();
      if (now - last_contact_.Get() > options_.grace) {
        return End(absl::UnavailableError(absl::StrCat(
            "the coordinator at ", options_.coordinator, " was away for more than ",
            absl::FormatDuration(options_.grace), "; last error: ", status.ToString())));
      }
      NAVIT_LOG(WARNING) << "no session with the coordinator at " << options_.coordinator << ": "
                         << status;
      Sleep(*backoff.Next(now));
    }
  }

  // Refusals that name a mistake of ours stay refusals; everything else may pass.
  static bool WorthRetrying(const absl::Status& status) {
    switch (status.code()) {
      case absl::StatusCode::kUnauthenticated:
      case absl::StatusCode::kInvalidArgument:
      case absl::StatusCode::kPermissionDenied:
      case absl::StatusCode::kFailedPrecondition:
      case absl::StatusCode::kUnimplemented:
        return false;
      default:
        return true;
    }
  }

  void End(const absl::Status& status) {
    if (stopping()) return;
    absl::MutexLock lock(&callback_mutex_);
    delegate_->OnEnded(status);
  }

  void Sleep(absl::Duration delay) {
    const absl::Duration until = Now() + delay;
    while (!stopping() && Now() < until) wakeup_.Wait(until - Now());
  }

  absl::Status Register() {
    grpc::ClientContext context;
    SetDeadline(&context, options_.register_timeout);
    CurrentCall call(this, &context);
    v1::RegisterReply reply;
    NAVIT_RETURN_IF_ERROR(
        FromGrpcStatus(stub_->Register(&context, options_.registration, &reply), "Fleet.Register"));
    last_contact_.Set(Now());
    coordinator_incarnation_ = reply.coordinator_incarnation();
    // Written so that NaN, which a coordinator has no business to send, gives the lower bound.
    const double seconds = reply.heartbeat_interval_seconds();
    interval_ = absl::Seconds(seconds > 0.01 ? std::min(seconds, 3600.0) : 0.01);
    NAVIT_LOG(INFO) << "registered as " << options_.registration.worker().name() << " with "
                    << options_.coordinator << ", coordinator incarnation "
                    << reply.coordinator_incarnation();
    absl::MutexLock lock(&callback_mutex_);
    delegate_->OnRegistered(reply);
    return absl::OkStatus();
  }

  using Stream = grpc::ClientReaderWriter<v1::WorkerReport, v1::Directive>;

  // One heartbeat stream from opening to end; the status says why it ended.
  absl::Status Heartbeat() {
    grpc::ClientContext context;
    CurrentCall call(this, &context);
    std::unique_ptr<Stream> stream = stub_->Heartbeat(&context);
    std::atomic<bool> reader_done{false};
    SharedTime last_heard(Now());
    absl::Status local;  // Why we ended the stream ourselves; written by the reader before done.
    std::thread reader([&] {
      v1::Directive directive;
      while (stream->Read(&directive)) {
        last_heard.Set(Now());
        local = HandleDirective(directive);
        if (!local.ok()) {
          context.TryCancel();
          break;
        }
      }
      reader_done = true;
      wakeup_.Ring();
    });

    const absl::Duration max_silence = std::max(3 * interval_, options_.min_silence);
    absl::Status silent;
    while (!stopping() && !reader_done) {
      if (!SendReport(stream.get())) break;
      wakeup_.Wait(interval_);
      if (Now() - last_heard.Get() > max_silence) {
        silent = absl::UnavailableError(absl::StrCat("nothing heard from the coordinator for ",
                                                     absl::FormatDuration(max_silence)));
        context.TryCancel();
        break;
      }
    }
    // Not after a failed write: the server's status is then on its way, and must not be hidden.
    if (stopping()) context.TryCancel();
    reader.join();
    const absl::Status status = FromGrpcStatus(stream->Finish(), "Fleet.Heartbeat");
    if (!local.ok()) return local;
    if (!silent.ok()) return silent;
    return status.ok() ? absl::UnavailableError("Fleet.Heartbeat: ended by the coordinator")
                       : status;
  }

  bool SendReport(Stream* stream) {
    const absl::Duration sent_at = Now();
    v1::WorkerReport report;
    {
      absl::MutexLock lock(&callback_mutex_);
      report = delegate_->BuildReport();
    }
    *report.mutable_worker() = options_.registration.worker();
    report.set_sequence(++sequence_);
    if (!stream->Write(report)) return false;
    absl::MutexLock lock(&callback_mutex_);
    delegate_->OnReportSent(report, sent_at);
    return true;
  }

  // An error ends the stream.
  absl::Status HandleDirective(const v1::Directive& directive) {
    if (directive.fenced()) {
      return absl::UnauthenticatedError(absl::StrCat("fenced: a newer process has the name ",
                                                     options_.registration.worker().name()));
    }
    if (directive.coordinator_incarnation() != coordinator_incarnation_) {
      register_again_ = true;
      return absl::UnavailableError("the coordinator restarted");
    }
    last_contact_.Set(Now());
    absl::MutexLock lock(&callback_mutex_);
    if (!stopping()) delegate_->OnDirective(directive);
    return absl::OkStatus();
  }

  const WorkerSessionOptions options_;
  WorkerSessionDelegate* const delegate_;
  const std::unique_ptr<v1::Fleet::Stub> stub_;
  Wakeup wakeup_;

  // Held around every call of the delegate.
  absl::Mutex callback_mutex_ ABSL_ACQUIRED_BEFORE(mutex_);
  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  grpc::ClientContext* context_ ABSL_GUARDED_BY(mutex_) = nullptr;

  // Steady time at which the coordinator was last heard.
  SharedTime last_contact_;
  std::atomic<bool> register_again_{false};
  // Of the session's thread; the reader reads them while that thread is in Heartbeat.
  uint64_t coordinator_incarnation_ = 0;
  absl::Duration interval_ = absl::Seconds(1);
  uint64_t sequence_ = 0;
  std::thread thread_;
};

absl::StatusOr<std::unique_ptr<WorkerSession>> WorkerSession::Start(
    WorkerSessionOptions options, WorkerSessionDelegate* delegate) {
  options.channel.own_connection = true;
  NAVIT_ASSIGN_OR_RETURN(std::shared_ptr<grpc::Channel> channel,
                         MakeChannel(options.coordinator, options.channel));
  return std::unique_ptr<WorkerSession>(
      new WorkerSession(std::make_unique<Impl>(std::move(options), delegate, std::move(channel))));
}

WorkerSession::WorkerSession(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
WorkerSession::~WorkerSession() = default;
void WorkerSession::ReportChanged() { impl_->ReportChanged(); }
void WorkerSession::Stop() { impl_->Stop(); }

}  // namespace navit
