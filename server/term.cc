#include "server/term.h"

#include <map>
#include <memory>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/clock.h"
#include "common/http_server.h"
#include "common/log.h"
#include "common/log_line.h"
#include "common/metrics.h"
#include "common/object_store/object_store.h"
#include "common/status_macros.h"
#include "grpcpp/impl/codegen/service_type.h"
#include "server/core/coordinator.h"
#include "server/host.h"
#include "server/logs/job_logs.h"
#include "server/page/page_routes.h"
#include "server/services/services.h"
#include "server/telemetry/telemetry_book.h"

namespace navit {

namespace {
struct ObserverEnd {
  ~ObserverEnd() { SetLogObserver(nullptr); }
};
}  // namespace

void TermEnd::Stop() {
  stop_.Stop();
  bell_.Ring();
}

void TermEnd::Fail(const absl::Status& why) {
  {
    absl::MutexLock lock(&mutex_);
    if (why_.ok()) why_ = why;
  }
  bell_.Ring();
}

void TermEnd::Reset() {
  absl::MutexLock lock(&mutex_);
  why_ = absl::OkStatus();
}

absl::Status TermEnd::Wait() {
  while (!stop_.stopped()) {
    {
      absl::MutexLock lock(&mutex_);
      if (!why_.ok()) return why_;
    }
    bell_.Wait(absl::Hours(1));
  }
  return absl::OkStatus();
}

absl::Status ServeTerm(const TermOptions& options, EventStore* store, ServerMetrics* metrics,
                       TermEnd* end) {
  Clock* const clock = Clock::Real();
  const absl::Duration began = clock->SteadyNow();
  NAVIT_ASSIGN_OR_RETURN(const std::unique_ptr<JobLogs> logs,
                         JobLogs::Open(options.logs_folder, options.log_bytes_per_job));
  // Lines of this process that are about a job, until the end of this function.
  SetLogObserver([&logs](const LogRecord& record) {
    if (record.job.empty()) return;
    if (!logs->Append(ToLogLine(record)).ok()) CountDroppedLogLine();
  });
  const ObserverEnd observer_end;

  CoordinatorOptions core_options;
  core_options.direct_above_bytes_per_second = options.direct_above_bytes_per_second;
  core_options.log = [](absl::string_view job, absl::string_view line) {
    LogScope scope(job);
    NAVIT_LOG(INFO) << line;
  };
  Coordinator core(core_options, store);
  NAVIT_RETURN_IF_ERROR(core.Start({absl::ToDoubleSeconds(clock->SteadyNow()),
                                    absl::ToDoubleSeconds(clock->UnixNow() - absl::UnixEpoch())}));

  std::set<std::string> kept_jobs;
  const v1::ListReply kept = core.List();
  for (const v1::Job& job : kept.jobs()) kept_jobs.insert(job.name());
  NAVIT_RETURN_IF_ERROR(logs->Keep(kept_jobs));

  CoordinatorHost::Options host_options;
  host_options.clock = clock;
  host_options.heartbeat_interval = absl::Seconds(core_options.heartbeat_interval_seconds);
  host_options.on_unhealthy = [&] {
    end->Fail(absl::AbortedError(absl::StrCat(
        options.state, ": a write failed; only a new start tells what of it is durable")));
  };
  CoordinatorHost host(&core, host_options);
  TelemetryBook telemetry;
  ObjectStoreOptions sources;
  sources.environment = ProcessEnvironment();
  // Within the time that a submit may take.
  sources.retry_deadline = absl::Seconds(5);
  const auto jobs =
      MakeJobsService(&host, metrics, &telemetry, logs.get(), MakeObjectStore(sources));
  const auto fleet = MakeFleetService(&host, metrics, &telemetry, logs.get());
  const auto batches = MakeBatchesService(&host, metrics);
  NAVIT_ASSIGN_OR_RETURN(const auto grpc_server,
                         GrpcServer::Start(options.grpc, {jobs.get(), fleet.get(), batches.get()}));
  std::map<std::string, HttpHandler> routes = PageRoutes(&host, &telemetry);
  routes["/metrics"] =
      MetricsRoute("coordinator", std::make_shared<CoordinatorMetrics>(&host, metrics));
  NAVIT_ASSIGN_OR_RETURN(const auto http_server,
                         HttpServer::Start(options.listen_http, std::move(routes)));
  metrics->SetRecovery(clock->SteadyNow() - began);
  NAVIT_LOG(INFO) << "incarnation " << core.incarnation() << " serves gRPC on "
                  << grpc_server->address() << ", HTTP on " << http_server->address()
                  << ", state in " << options.state;
  NAVIT_RETURN_IF_ERROR(options.serving(grpc_server->port(), http_server->port()));

  const absl::Status why = end->Wait();
  NAVIT_LOG(INFO) << "draining" << (why.ok() ? "" : absl::StrCat(": ", why.message()));
  grpc_server->SetServing(false);
  host.Drain();
  grpc_server->Shutdown(absl::Seconds(2));
  return why;
}

}  // namespace navit
