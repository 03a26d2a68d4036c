// navit-coordinator: jobs, leases, the relay; see server/core/coordinator.h. With its state in a
// file it serves at once; with its state in etcd it first stands by until it leads.
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/grpc_channel.h"
#include "common/lifecycle.h"
#include "common/log.h"
#include "common/status_macros.h"
#include "server/metrics.h"
#include "server/standby.h"
#include "server/store/etcd_address.h"
#include "server/store/etcd_leadership.h"
#include "server/store/etcd_store.h"
#include "server/store/sqlite_store.h"
#include "server/term.h"

ABSL_FLAG(std::string, listen, "127.0.0.1:7440", "address of the gRPC services; port 0: any");
ABSL_FLAG(std::string, listen_http, "127.0.0.1:7441",
          "address of /, /metrics and /healthz; port 0: any");
ABSL_FLAG(
    std::string, state, "",
    "where the state is (required): a file, made if absent, with FILE-wal and FILE-lock beside "
    "it; or etcd://HOST:PORT[,HOST:PORT...]/PREFIX, for several coordinators of which one "
    "leads");
ABSL_FLAG(std::string, logs, "",
          "folder of the jobs' log lines; default: FILE-logs; required with etcd");
ABSL_FLAG(uint64_t, log_bytes_per_job, uint64_t{64} << 20,
          "log lines of a job that are kept, in bytes; the oldest go");
ABSL_FLAG(std::string, tls_cert, "", "PEM file of the server's certificate");
ABSL_FLAG(std::string, tls_key, "", "PEM file of the certificate's key");
ABSL_FLAG(std::string, tls_ca, "", "PEM file; clients must show a certificate signed by it");
ABSL_FLAG(
    double, direct_above_bytes_per_second, 1e9,
    "relayed bytes per second from which on trainers of jobs with `delivery: auto` fetch packs "
    "from packers");
ABSL_FLAG(bool, insecure_listen, false, "serve other hosts without TLS");
ABSL_FLAG(
    std::string, advertise, "",
    "HOST:PORT that others name as the leader's, with etcd; default: this host and the port of "
    "--listen");
ABSL_FLAG(int, lead_seconds, 10,
          "how long a leader that falls silent stays leader, with etcd; 2 to 600");
ABSL_FLAG(std::string, etcd_tls_ca, "", "PEM file: who signed etcd's certificate");
ABSL_FLAG(std::string, etcd_tls_cert, "", "PEM file of the certificate to show to etcd");
ABSL_FLAG(std::string, etcd_tls_key, "", "PEM file of that certificate's key");
ABSL_FLAG(std::string, etcd_tls_server_name, "", "name to expect in etcd's certificate");

namespace navit {
namespace {

TermOptions TermFromFlags() {
  TermOptions options;
  options.grpc.listen = absl::GetFlag(FLAGS_listen);
  options.grpc.tls = {absl::GetFlag(FLAGS_tls_cert), absl::GetFlag(FLAGS_tls_key),
                      absl::GetFlag(FLAGS_tls_ca)};
  options.grpc.insecure_listen = absl::GetFlag(FLAGS_insecure_listen);
  options.listen_http = absl::GetFlag(FLAGS_listen_http);
  options.logs_folder = absl::GetFlag(FLAGS_logs);
  options.log_bytes_per_job = absl::GetFlag(FLAGS_log_bytes_per_job);
  options.state = absl::GetFlag(FLAGS_state);
  options.direct_above_bytes_per_second = absl::GetFlag(FLAGS_direct_above_bytes_per_second);
  return options;
}

absl::Status WritePorts(int grpc_port, int http_port) {
  return WritePortFile({{"grpc", grpc_port}, {"http", http_port}});
}

absl::Status ServeFile(TermOptions options, ServerMetrics* metrics, TermEnd* end) {
  SqliteStoreOptions store_options;
  store_options.on_commit = [&](absl::Duration took) { metrics->ObserveCommit(took); };
  NAVIT_ASSIGN_OR_RETURN(const auto store, SqliteStore::Open(options.state, store_options));
  if (options.logs_folder.empty()) options.logs_folder = options.state + "-logs";
  options.serving = WritePorts;
  metrics->LeaderChanged();
  metrics->SetLeader(true);
  return ServeTerm(options, store.get(), metrics, end);
}

struct Etcd {
  std::shared_ptr<grpc::Channel> channel;
  // Renewals of the lead must not stand behind the bytes of a manifest.
  std::shared_ptr<grpc::Channel> lead_channel;
  std::string prefix;
  LeadershipOptions leadership;
};

absl::StatusOr<Etcd> EtcdFromFlags() {
  const int lead_seconds = absl::GetFlag(FLAGS_lead_seconds);
  if (lead_seconds < 2 || lead_seconds > 600) {
    return absl::InvalidArgumentError(
        absl::StrCat("--lead-seconds: must be in [2, 600], is ", lead_seconds));
  }
  if (absl::GetFlag(FLAGS_logs).empty()) {
    return absl::InvalidArgumentError("--logs FOLDER is required with etcd");
  }
  NAVIT_ASSIGN_OR_RETURN(EtcdAddress address, ParseEtcdAddress(absl::GetFlag(FLAGS_state)));
  ChannelOptions channel;
  channel.tls = {absl::GetFlag(FLAGS_etcd_tls_cert), absl::GetFlag(FLAGS_etcd_tls_key),
                 absl::GetFlag(FLAGS_etcd_tls_ca)};
  channel.tls_server_name = absl::GetFlag(FLAGS_etcd_tls_server_name);
  channel.max_message_bytes = EtcdStore::kMaxMessageBytes;
  Etcd etcd;
  NAVIT_ASSIGN_OR_RETURN(etcd.channel, MakeChannel(address.target, channel));
  channel.own_connection = true;
  NAVIT_ASSIGN_OR_RETURN(etcd.lead_channel, MakeChannel(address.target, channel));
  etcd.prefix = std::move(address.prefix);
  etcd.leadership.key = etcd.prefix + "/leader";
  etcd.leadership.holder = absl::GetFlag(FLAGS_advertise);
  etcd.leadership.ttl = absl::Seconds(lead_seconds);
  return etcd;
}

// Serves as a standby until this process leads. Pins the ports in `options`, and names this process
// in `etcd` unless a flag did.
absl::StatusOr<std::unique_ptr<EtcdLeadership>> StandBy(TermOptions* options, Etcd* etcd,
                                                        ServerMetrics* metrics, TermEnd* end) {
  NAVIT_ASSIGN_OR_RETURN(const auto standby,
                         Standby::Start(options->grpc, options->listen_http, metrics));
  options->grpc.listen = standby->grpc().address();
  options->listen_http = standby->http().address();
  std::string& holder = etcd->leadership.holder;
  if (holder.empty()) {
    holder = IsLoopbackAddress(standby->grpc().address())
                 ? standby->grpc().address()
                 : absl::StrCat(HostName(), ":", standby->grpc().port());
  }
  NAVIT_RETURN_IF_ERROR(WritePorts(standby->grpc().port(), standby->http().port()));
  int64_t seen = 0;
  const auto waiting = [&](const EtcdLeadership::Obstacle& obstacle) {
    const std::string reason = obstacle.error.ok()
                                   ? absl::StrCat(obstacle.leader, " leads")
                                   : absl::StrCat("no leader is known: ", obstacle.error.message());
    NAVIT_LOG(INFO) << holder << " stands by: " << reason;
    standby->SetReason(reason);
    if (obstacle.create_revision != 0 && obstacle.create_revision != seen) {
      metrics->LeaderChanged();
      seen = obstacle.create_revision;
    }
  };
  return EtcdLeadership::Campaign(etcd->lead_channel, etcd->leadership, end->stop(), waiting);
}

// One round of standing by and leading.
absl::Status LeadOnce(TermOptions* options, Etcd* etcd, ServerMetrics* metrics, TermEnd* end) {
  end->Reset();
  NAVIT_ASSIGN_OR_RETURN(const auto leadership, StandBy(options, etcd, metrics, end));
  leadership->Watch([end](const absl::Status& why) { end->Fail(why); });
  EtcdStoreOptions store_options;
  store_options.prefix = etcd->prefix;
  // Shorter than the lease: a write that waits must not outlive the lead.
  store_options.timeout = etcd->leadership.ttl / 2;
  store_options.on_commit = [metrics](absl::Duration took) { metrics->ObserveCommit(took); };
  store_options.on_deposed = [metrics] { metrics->StoreWriteRefused(); };
  NAVIT_ASSIGN_OR_RETURN(const auto store,
                         EtcdStore::Open(etcd->channel, store_options, leadership->key()));
  metrics->LeaderChanged();
  metrics->SetLeader(true);
  const absl::Status ended = ServeTerm(*options, store.get(), metrics, end);
  metrics->SetLeader(false);
  return ended;
}

absl::Status ServeReplicated(TermOptions options, ServerMetrics* metrics, TermEnd* end) {
  NAVIT_ASSIGN_OR_RETURN(Etcd etcd, EtcdFromFlags());
  // The ports are known, and stay, from the first standby on.
  options.serving = [](int, int) { return absl::OkStatus(); };
  while (true) {
    const absl::Status ended = LeadOnce(&options, &etcd, metrics, end);
    if (end->stop()->stopped()) return absl::OkStatus();
    // The lead was lost, a write failed, or etcd is away: what is durable can be read again.
    if (!absl::IsAborted(ended) && !absl::IsUnavailable(ended)) return ended;
    NAVIT_LOG(WARNING) << "no longer leading: " << ended.message();
  }
}

absl::Status Serve(TermEnd* end) {
  const TermOptions options = TermFromFlags();
  if (options.state.empty()) {
    return absl::InvalidArgumentError("--state FILE or --state etcd://... is required");
  }
  ServerMetrics metrics;
  return IsEtcdAddress(options.state) ? ServeReplicated(options, &metrics, end)
                                      : ServeFile(options, &metrics, end);
}

}  // namespace
}  // namespace navit

int main(int argc, char** argv) {
  navit::InitProgram(
      argc, argv,
      {"navit-coordinator", "runs training jobs on packers and trainers", "--state STATE [flags]"});
  navit::SetLogIdentity("coordinator", navit::HostName());
  navit::TermEnd end;
  navit::ShutdownSignals signals;
  signals.OnRequest([&end] { end.Stop(); });
  const absl::Status status = navit::Serve(&end);
  if (status.ok()) return 0;
  std::fprintf(stderr, "navit-coordinator: %s\n", std::string(status.message()).c_str());
  return status.code() == absl::StatusCode::kInvalidArgument ? 2 : 1;
}
