// navit-packer: makes packs for the jobs of a coordinator. `navit-packer index` builds the sidecar
// indexes of shards without one.
#include <atomic>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "common/http_server.h"
#include "common/lifecycle.h"
#include "common/log.h"
#include "common/log_shipper.h"
#include "common/metrics.h"
#include "common/object_store/object_store.h"
#include "packer/agent/agent.h"
#include "packer/agent/data_plane.h"
#include "packer/metrics.h"
#include "packer/shard_index.h"
#include "packer/shards.h"

ABSL_FLAG(std::string, coordinator, "localhost:7440", "address of the coordinator");
ABSL_FLAG(std::string, name, "", "name of this worker; default HOST-packer-PID");
ABSL_FLAG(std::string, listen_http, "127.0.0.1:7443", "address of /metrics and /healthz");
ABSL_FLAG(int, threads, 1, "threads that make packs, and as many that plan and index");
ABSL_FLAG(std::string, tls_ca, "", "PEM file of the authority that signed the coordinator's key");
ABSL_FLAG(std::string, tls_cert, "", "PEM file of this worker's certificate");
ABSL_FLAG(std::string, tls_key, "", "PEM file of this worker's key");
ABSL_FLAG(std::string, tls_server_name, "", "name expected in the coordinator's certificate");
ABSL_FLAG(double, coordinator_grace_seconds, 600, "how long the coordinator may be away");
ABSL_FLAG(double, drain_seconds, 30, "how long packs in hand may take after SIGTERM");
ABSL_FLAG(uint64_t, read_ahead_bytes, uint64_t{512} << 20,
          "most bytes of shards held for packs in work and to come");
ABSL_FLAG(int, source_connections, 16, "requests to http and s3 that are in flight at once");
ABSL_FLAG(double, source_retry_seconds, 60,
          "how long a request to http or s3 is repeated while its errors are transient");
ABSL_FLAG(std::string, s3_addressing, "auto",
          "where the bucket stands: path, host, or auto (path with an endpoint of its own)");
ABSL_FLAG(std::string, index_folder, "",
          "index: folder of the sidecars; default beside the shards");

namespace {

navit::Environment ProcessEnvironment() {
  return [](const std::string& name) {
    const char* value = std::getenv(name.c_str());
    return std::string(value == nullptr ? "" : value);
  };
}

// The error of a flag; nothing is read from the network here.
absl::StatusOr<navit::ObjectStoreOptions> StoreOptions() {
  navit::ObjectStoreOptions options;
  options.environment = ProcessEnvironment();
  using Addressing = navit::ObjectStoreOptions::Addressing;
  const std::string addressing = absl::GetFlag(FLAGS_s3_addressing);
  if (addressing == "path") {
    options.addressing = Addressing::kPath;
  } else if (addressing == "host") {
    options.addressing = Addressing::kHost;
  } else if (addressing != "auto") {
    return absl::InvalidArgumentError("--s3_addressing: must be auto, path or host");
  }
  options.retry_deadline = absl::Seconds(absl::GetFlag(FLAGS_source_retry_seconds));
  return options;
}

int Fail(const absl::Status& status) {
  std::cerr << "navit-packer: " << status.message() << "\n";
  return 2;
}

// `navit-packer index SHARDS...`: a line per shard; exit 1 when one could not be indexed.
int Index(const std::vector<std::string>& patterns) {
  if (patterns.empty()) return Fail(absl::InvalidArgumentError("index: name at least one shard"));
  const absl::StatusOr<navit::ObjectStoreOptions> options = StoreOptions();
  if (!options.ok()) return Fail(options.status());
  const std::shared_ptr<navit::ObjectStore> store = navit::MakeObjectStore(*options);
  bool failed = false;
  for (const std::string& pattern : patterns) {
    const absl::StatusOr<std::vector<std::string>> shards =
        navit::ExpandShardPattern(store.get(), pattern);
    if (!shards.ok()) return Fail(shards.status());
    for (const std::string& shard : *shards) {
      const absl::StatusOr<navit::v1::ShardEntry> entry =
          navit::IndexShard(store.get(), shard, absl::GetFlag(FLAGS_index_folder));
      if (entry.ok()) {
        std::cout << shard << ": " << entry->samples() << " samples, " << entry->index_path()
                  << "\n";
      } else {
        std::cerr << "navit-packer: " << entry.status().message() << "\n";
        failed = true;
      }
    }
  }
  return failed ? 1 : 0;
}

int Serve() {
  navit::ShutdownSignals signals;
  std::string name = absl::GetFlag(FLAGS_name);
  if (name.empty()) name = navit::DefaultWorkerName("packer");
  navit::SetLogIdentity("packer", name);
  if (absl::GetFlag(FLAGS_threads) < 1) {
    return Fail(absl::InvalidArgumentError("--threads: must be at least 1"));
  }

  navit::PackerMetrics metrics(absl::GetFlag(FLAGS_threads));
  auto http =
      navit::HttpServer::Start(absl::GetFlag(FLAGS_listen_http),
                               {{"/metrics", navit::MetricsRoute("packer", metrics.registry())}});
  if (!http.ok()) return Fail(http.status());

  navit::AgentOptions options;
  options.coordinator = absl::GetFlag(FLAGS_coordinator);
  options.channel.tls.ca = absl::GetFlag(FLAGS_tls_ca);
  options.channel.tls.certificate = absl::GetFlag(FLAGS_tls_cert);
  options.channel.tls.key = absl::GetFlag(FLAGS_tls_key);
  options.channel.tls_server_name = absl::GetFlag(FLAGS_tls_server_name);
  options.name = name;
  options.incarnation = navit::NewIncarnation();
  options.host = navit::HostName();
  options.http_address = (*http)->address();
  options.threads = absl::GetFlag(FLAGS_threads);
  options.grace = absl::Seconds(absl::GetFlag(FLAGS_coordinator_grace_seconds));

  navit::LogShipperOptions shipping;
  shipping.coordinator = options.coordinator;
  shipping.channel = options.channel;
  shipping.worker.set_name(options.name);
  shipping.worker.set_incarnation(options.incarnation);
  const auto shipper = navit::LogShipper::Start(std::move(shipping));
  if (!shipper.ok()) return Fail(shipper.status());

  navit::DataPlaneOptions data_options;
  const absl::StatusOr<navit::ObjectStoreOptions> store = StoreOptions();
  if (!store.ok()) return Fail(store.status());
  data_options.store = *store;
  data_options.store.observer = &metrics;
  data_options.read_ahead.observer = &metrics;
  data_options.read_ahead.max_bytes = absl::GetFlag(FLAGS_read_ahead_bytes);
  data_options.read_ahead.connections = absl::GetFlag(FLAGS_source_connections);
  if (data_options.read_ahead.connections < 1) {
    return Fail(absl::InvalidArgumentError("--source_connections: must be at least 1"));
  }
  navit::RealDataPlane data(std::move(data_options));
  std::atomic<bool> ended{false};
  auto agent =
      navit::PackerAgent::Start(std::move(options), &data, &metrics, [&](const absl::Status&) {
        ended = true;
        signals.Trigger();
      });
  if (!agent.ok()) return Fail(agent.status());
  if (absl::Status status = navit::WritePortFile({{"http", (*http)->port()}}); !status.ok()) {
    return Fail(status);
  }
  signals.Wait();
  if (ended) return 1;
  NAVIT_LOG(INFO) << "told to end: sending the packs in hand";
  const bool clean = (*agent)->Drain(absl::Seconds(absl::GetFlag(FLAGS_drain_seconds)));
  if (!clean) NAVIT_LOG(WARNING) << "ended with packs unsent; another packer will make them";
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> arguments = navit::InitProgram(
      argc, argv,
      {"navit-packer", "makes packs", "--coordinator HOST:PORT [flags] | index SHARDS... [flags]"});
  if (arguments.empty()) return Serve();
  if (arguments[0] == "index") return Index({arguments.begin() + 1, arguments.end()});
  return Fail(absl::InvalidArgumentError("unexpected argument: " + arguments[0]));
}
