#include <iterator>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/version.h"
#include "proto/fleet.grpc.pb.h"
#include "server/services/calls.h"
#include "server/services/services.h"

namespace navit {
namespace {

constexpr absl::Duration kFirstMessageWithin = absl::Seconds(10);

class HeartbeatStream
    : public ServerStream<grpc::ServerBidiReactor<v1::WorkerReport, v1::Directive>> {
 public:
  HeartbeatStream(const ServiceContext& context, grpc::CallbackServerContext* call,
                  TelemetryBook* telemetry)
      : ServerStream(context, call, "Fleet.Heartbeat"),
        telemetry_(telemetry),
        opened_at_(context.host->SteadyNow()) {
    StartRead(&report_);
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      absl::MutexLock lock(&mutex_);
      return End(absl::OkStatus());
    }
    // Telemetry is not core's business: it goes into its book, and only from workers that count.
    v1::WorkerReport telemetry = TakeTelemetry();
    double unix_now = 0;
    const absl::Status status = host()->Call([&](Coordinator& core, PackBytes&, Instant now) {
      unix_now = now.unix_time;
      DropUnknownJobs(core, &telemetry);
      return core.OnReport(report_, now);
    });
    if (status.ok()) telemetry_->OnReport(telemetry, unix_now);
    absl::MutexLock lock(&mutex_);
    if (ending()) return;
    if (known_ && report_.worker().name() != worker_.name()) {
      return End(absl::InvalidArgumentError("worker.name: changed within one stream"));
    }
    worker_ = report_.worker();
    known_ = true;
    // A fenced worker is told by a directive, which Continue sends before it ends the stream.
    if (!status.ok() && !absl::IsUnauthenticated(status)) return End(status);
    if (!writing()) Continue();
    if (!ending()) StartRead(&report_);
  }

 private:
  // Moves the telemetry of the report at hand out of it.
  v1::WorkerReport TakeTelemetry() {
    v1::WorkerReport telemetry;
    *telemetry.mutable_worker() = report_.worker();
    if (report_.has_packer_telemetry()) {
      telemetry.mutable_packer_telemetry()->Swap(report_.mutable_packer_telemetry());
    }
    if (report_.has_trainer_telemetry()) {
      telemetry.mutable_trainer_telemetry()->Swap(report_.mutable_trainer_telemetry());
    }
    report_.clear_packer_telemetry();
    report_.clear_trainer_telemetry();
    return telemetry;
  }

  static void DropUnknownJobs(const Coordinator& core, v1::WorkerReport* telemetry) {
    if (core.JobRevision(telemetry->trainer_telemetry().job()) == 0) {
      telemetry->clear_trainer_telemetry();
    }
    auto* jobs = telemetry->mutable_packer_telemetry()->mutable_jobs();
    for (int i = jobs->size() - 1; i >= 0; --i) {
      if (core.JobRevision(jobs->Get(i).job()) == 0) jobs->DeleteSubrange(i, 1);
    }
  }

  void Continue() override ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (writing()) return;
    const absl::Duration now = host()->SteadyNow();
    if (!known_) {
      if (now - opened_at_ > kFirstMessageWithin) {
        End(absl::InvalidArgumentError("no report came on the stream"));
      }
      return;
    }
    absl::StatusOr<v1::Directive> directive =
        host()->Call([&](Coordinator& core, PackBytes&, Instant instant) {
          return core.DirectiveFor(worker_, instant);
        });
    if (!directive.ok()) return End(directive.status());
    if (!directive->fenced() && sent_ && directive->version() == directive_.version() &&
        now - sent_at_ < host()->options().heartbeat_interval) {
      return;
    }
    directive_ = *std::move(directive);
    sent_ = true;
    sent_at_ = now;
    Write(&directive_);
    if (directive_.fenced()) {
      End(absl::UnauthenticatedError(
          absl::StrCat("a newer process has the name ", worker_.name())));
    }
  }

  TelemetryBook* const telemetry_;
  const absl::Duration opened_at_;
  // Owned by the read in flight.
  v1::WorkerReport report_;
  bool known_ ABSL_GUARDED_BY(mutex_) = false;
  v1::WorkerId worker_ ABSL_GUARDED_BY(mutex_);
  bool sent_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Duration sent_at_ ABSL_GUARDED_BY(mutex_);
  // Owned by the write in flight.
  v1::Directive directive_ ABSL_GUARDED_BY(mutex_);
};

class FleetService : public v1::Fleet::CallbackService {
 public:
  FleetService(ServiceContext context, TelemetryBook* telemetry, JobLogs* logs)
      : context_(context), telemetry_(telemetry), logs_(logs) {}

  grpc::ServerUnaryReactor* Register(grpc::CallbackServerContext* call,
                                     const v1::RegisterRequest* request,
                                     v1::RegisterReply* reply) override {
    return Now(call, "Fleet.Register", [=](Coordinator& core, Instant now) -> absl::Status {
      NAVIT_RETURN_IF_ERROR(CheckPeerVersion(
          request->role() == v1::PACKER ? "navit-packer" : "navit-trainer", request->version()));
      return Put(core.Register(*request, now), reply);
    });
  }

  grpc::ServerBidiReactor<v1::WorkerReport, v1::Directive>* Heartbeat(
      grpc::CallbackServerContext* call) override {
    auto stream = std::make_shared<HeartbeatStream>(context_, call, telemetry_);
    stream->Begin(stream);
    return stream.get();
  }

  grpc::ServerUnaryReactor* LeaseWork(grpc::CallbackServerContext* call,
                                      const v1::LeaseWorkRequest* request,
                                      v1::Work* reply) override {
    WaitingCallback callback;
    callback.attempt = [=, host = context_.host]() -> std::optional<absl::Status> {
      absl::StatusOr<v1::Work> work = host->Call([&](Coordinator& core, PackBytes&, Instant now) {
        return core.LeaseWork(request->worker(), now);
      });
      if (work.ok() && work->kind_case() == v1::Work::KIND_NOT_SET) return std::nullopt;
      return Put(std::move(work), reply);
    };
    callback.timed_out = [] { return absl::OkStatus(); };
    return AnswerLater(context_, call, "Fleet.LeaseWork", std::move(callback));
  }

  grpc::ServerUnaryReactor* FinishWork(grpc::CallbackServerContext* call,
                                       const v1::FinishWorkRequest* request,
                                       google::protobuf::Empty*) override {
    return Now(call, "Fleet.FinishWork",
               [=](Coordinator& core, Instant now) { return core.FinishWork(*request, now); });
  }

  grpc::ServerUnaryReactor* GetManifest(grpc::CallbackServerContext* call,
                                        const v1::GetManifestRequest* request,
                                        v1::DataManifest* reply) override {
    return Now(call, "Fleet.GetManifest", [=](Coordinator& core, Instant) {
      auto manifest = core.GetManifest(request->hash());
      if (manifest.ok()) *reply = **manifest;
      return manifest.status();
    });
  }

  grpc::ServerUnaryReactor* KvSet(grpc::CallbackServerContext* call,
                                  const v1::KvSetRequest* request,
                                  google::protobuf::Empty*) override {
    return Now(call, "Fleet.KvSet",
               [=](Coordinator& core, Instant now) { return core.KvSet(*request, now); });
  }

  grpc::ServerUnaryReactor* KvGet(grpc::CallbackServerContext* call,
                                  const v1::KvGetRequest* request, v1::KvGetReply* reply) override {
    auto missing = std::make_shared<std::string>();
    WaitingCallback callback;
    callback.attempt = [=, host = context_.host]() -> std::optional<absl::Status> {
      auto values = host->Call([&](Coordinator& core, PackBytes&, Instant) {
        return core.KvGet(*request, missing.get());
      });
      if (!values.ok()) return values.status();
      if (!values->has_value()) return std::nullopt;
      *reply = **std::move(values);
      return absl::OkStatus();
    };
    callback.timed_out = [missing] {
      return absl::DeadlineExceededError("nobody has set key " + *missing);
    };
    return AnswerLater(context_, call, "Fleet.KvGet", std::move(callback));
  }

  grpc::ServerUnaryReactor* ReportSteps(grpc::CallbackServerContext* call,
                                        const v1::ReportStepsRequest* request,
                                        google::protobuf::Empty*) override {
    return Now(call, "Fleet.ReportSteps",
               [=](Coordinator& core, Instant now) { return core.ReportSteps(*request, now); });
  }

  grpc::ServerUnaryReactor* CommitCheckpoint(grpc::CallbackServerContext* call,
                                             const v1::CommitCheckpointRequest* request,
                                             v1::CommitCheckpointReply* reply) override {
    return Now(call, "Fleet.CommitCheckpoint", [=](Coordinator& core, Instant now) {
      return Put(core.CommitCheckpoint(*request, now), reply);
    });
  }

  grpc::ServerUnaryReactor* ReportEvent(grpc::CallbackServerContext* call,
                                        const v1::ReportEventRequest* request,
                                        google::protobuf::Empty*) override {
    return Now(call, "Fleet.ReportEvent",
               [=](Coordinator& core, Instant now) { return core.ReportEvent(*request, now); });
  }

  grpc::ServerUnaryReactor* ShipLogs(grpc::CallbackServerContext* call,
                                     const v1::ShipLogsRequest* request,
                                     google::protobuf::Empty*) override {
    return Answer(context_, call, "Fleet.ShipLogs", [&]() -> absl::Status {
      std::set<std::string> jobs;
      for (const v1::LogLine& line : request->lines()) jobs.insert(line.job());
      context_.host->Call([&](Coordinator& core, PackBytes&, Instant) {
        for (auto job = jobs.begin(); job != jobs.end();) {
          job = core.JobRevision(*job) == 0 ? jobs.erase(job) : std::next(job);
        }
        return 0;
      });
      for (v1::LogLine line : request->lines()) {
        if (jobs.count(line.job()) == 0) continue;
        line.set_worker(request->worker());
        line.set_incarnation(request->incarnation());
        const absl::Status kept = logs_->Append(std::move(line));
        if (!kept.ok()) return kept;
      }
      return absl::OkStatus();
    });
  }

 private:
  template <typename F>
  grpc::ServerUnaryReactor* Now(grpc::CallbackServerContext* call, const char* method, F f) {
    return Answer(context_, call, method, [&]() -> absl::Status {
      return context_.host->Call(
          [&](Coordinator& core, PackBytes&, Instant now) { return f(core, now); });
    });
  }

  const ServiceContext context_;
  TelemetryBook* const telemetry_;
  JobLogs* const logs_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeFleetService(CoordinatorHost* host, ServerMetrics* metrics,
                                                TelemetryBook* telemetry, JobLogs* logs) {
  return std::make_unique<FleetService>(ServiceContext{host, metrics}, telemetry, logs);
}

}  // namespace navit
