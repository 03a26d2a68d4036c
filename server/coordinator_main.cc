// navit-coordinator: jobs, leases, the relay; see server/core/coordinator.h.

#include <atomic>
#include <cstdio>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "absl/flags/flag.h"
#include "common/clock.h"
#include "common/grpc_server.h"
#include "common/http_server.h"
#include "common/lifecycle.h"
#include "common/log.h"
#include "common/log_line.h"
#include "common/metrics.h"
#include "common/object_store/object_store.h"
#include "common/status_macros.h"
#include "grpcpp/impl/codegen/service_type.h"
#include "server/core/coordinator.h"
#include "server/host.h"
#include "server/logs/job_logs.h"
#include "server/metrics.h"
#include "server/page/page_routes.h"
#include "server/services/services.h"
#include "server/store/sqlite_store.h"
#include "server/telemetry/telemetry_book.h"

ABSL_FLAG(std::string, listen, "127.0.0.1:7440", "address of the gRPC services; port 0: any");
ABSL_FLAG(std::string, listen_http, "127.0.0.1:7441",
          "address of /, /metrics and /healthz; port 0: any");
ABSL_FLAG(std::string, state, "",
          "state file (required); made if absent; FILE-wal and FILE-lock lie beside it");
ABSL_FLAG(std::string, logs, "", "folder of the jobs' log lines; default: STATE-logs");
ABSL_FLAG(uint64_t, log_bytes_per_job, uint64_t{64} << 20,
          "log lines of a job that are kept, in bytes; the oldest go");
ABSL_FLAG(std::string, tls_cert, "", "PEM file of the server's certificate");
ABSL_FLAG(std::string, tls_key, "", "PEM file of the certificate's key");
ABSL_FLAG(std::string, tls_ca, "", "PEM file; clients must show a certificate signed by it");
ABSL_FLAG(bool, insecure_listen, false, "serve other hosts without TLS");

namespace navit {
namespace {

struct ObserverEnd {
  ~ObserverEnd() { SetLogObserver(nullptr); }
};

absl::Status Serve(ShutdownSignals* signals) {
  const std::string state = absl::GetFlag(FLAGS_state);
  if (state.empty()) return absl::InvalidArgumentError("--state FILE is required");
  Clock* const clock = Clock::Real();
  const absl::Duration began = clock->SteadyNow();

  ServerMetrics metrics;
  SqliteStoreOptions store_options;
  store_options.on_commit = [&](absl::Duration took) { metrics.ObserveCommit(took); };
  NAVIT_ASSIGN_OR_RETURN(const auto store, SqliteStore::Open(state, store_options));

  const std::string logs_folder = absl::GetFlag(FLAGS_logs);
  NAVIT_ASSIGN_OR_RETURN(const std::unique_ptr<JobLogs> logs,
                         JobLogs::Open(logs_folder.empty() ? state + "-logs" : logs_folder,
                                       absl::GetFlag(FLAGS_log_bytes_per_job)));
  // Lines of this process that are about a job, until the end of this function.
  SetLogObserver([&logs](const LogRecord& record) {
    if (record.job.empty()) return;
    if (!logs->Append(ToLogLine(record)).ok()) CountDroppedLogLine();
  });
  const ObserverEnd observer_end;

  CoordinatorOptions core_options;
  core_options.log = [](absl::string_view job, absl::string_view line) {
    LogScope scope(job);
    NAVIT_LOG(INFO) << line;
  };
  Coordinator core(core_options, store.get());
  NAVIT_RETURN_IF_ERROR(core.Start({absl::ToDoubleSeconds(clock->SteadyNow()),
                                    absl::ToDoubleSeconds(clock->UnixNow() - absl::UnixEpoch())}));

  std::set<std::string> kept_jobs;
  const v1::ListReply kept = core.List();
  for (const v1::Job& job : kept.jobs()) kept_jobs.insert(job.name());
  NAVIT_RETURN_IF_ERROR(logs->Keep(kept_jobs));

  std::atomic<bool> store_failed{false};
  CoordinatorHost::Options host_options;
  host_options.clock = clock;
  host_options.heartbeat_interval = absl::Seconds(core_options.heartbeat_interval_seconds);
  host_options.on_unhealthy = [&] {
    NAVIT_LOG(ERROR) << state
                     << ": a write failed; ending, so that a new start reads what is durable";
    store_failed = true;
    signals->Trigger();
  };
  CoordinatorHost host(&core, host_options);
  TelemetryBook telemetry;
  ObjectStoreOptions sources;
  sources.environment = ProcessEnvironment();
  // Within the time that a submit may take.
  sources.retry_deadline = absl::Seconds(5);
  const auto jobs =
      MakeJobsService(&host, &metrics, &telemetry, logs.get(), MakeObjectStore(sources));
  const auto fleet = MakeFleetService(&host, &metrics, &telemetry, logs.get());
  const auto batches = MakeBatchesService(&host, &metrics);

  GrpcServerOptions grpc_options;
  grpc_options.listen = absl::GetFlag(FLAGS_listen);
  grpc_options.tls = {absl::GetFlag(FLAGS_tls_cert), absl::GetFlag(FLAGS_tls_key),
                      absl::GetFlag(FLAGS_tls_ca)};
  grpc_options.insecure_listen = absl::GetFlag(FLAGS_insecure_listen);
  NAVIT_ASSIGN_OR_RETURN(const auto grpc_server,
                         GrpcServer::Start(grpc_options, {jobs.get(), fleet.get(), batches.get()}));
  std::map<std::string, HttpHandler> routes = PageRoutes(&host, &telemetry);
  routes["/metrics"] =
      MetricsRoute("coordinator", std::make_shared<CoordinatorMetrics>(&host, &metrics));
  NAVIT_ASSIGN_OR_RETURN(const auto http_server,
                         HttpServer::Start(absl::GetFlag(FLAGS_listen_http), std::move(routes)));
  metrics.SetRecovery(clock->SteadyNow() - began);
  NAVIT_LOG(INFO) << "incarnation " << core.incarnation() << " serves gRPC on "
                  << grpc_server->address() << ", HTTP on " << http_server->address()
                  << ", state in " << state;
  NAVIT_RETURN_IF_ERROR(
      WritePortFile({{"grpc", grpc_server->port()}, {"http", http_server->port()}}));

  signals->Wait();
  NAVIT_LOG(INFO) << "draining";
  grpc_server->SetServing(false);
  host.Drain();
  grpc_server->Shutdown(absl::Seconds(2));
  if (store_failed) return absl::DataLossError(state + ": a write failed");
  return absl::OkStatus();
}

}  // namespace
}  // namespace navit

int main(int argc, char** argv) {
  navit::InitProgram(
      argc, argv,
      {"navit-coordinator", "runs training jobs on packers and trainers", "--state FILE [flags]"});
  navit::SetLogIdentity("coordinator", navit::HostName());
  navit::ShutdownSignals signals;
  const absl::Status status = navit::Serve(&signals);
  if (status.ok()) return 0;
  std::fprintf(stderr, "navit-coordinator: %s\n", std::string(status.message()).c_str());
  return status.code() == absl::StatusCode::kInvalidArgument ? 2 : 1;
}
