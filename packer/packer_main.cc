// navit-packer: makes packs for the jobs of a coordinator. Without one: `navit-packer index` builds
// the sidecar indexes of shards, `navit-packer train-tokenizer` a tokenizer of their captions.
#include <grpcpp/impl/service_type.h>

#include <algorithm>
#include <atomic>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/files.h"
#include "common/grpc_server.h"
#include "common/http_server.h"
#include "common/job_spec/parse.h"
#include "common/job_spec/resolve.h"
#include "common/lifecycle.h"
#include "common/log.h"
#include "common/log_shipper.h"
#include "common/metrics.h"
#include "common/object_store/object_store.h"
#include "common/status_macros.h"
#include "packer/agent/agent.h"
#include "packer/agent/data_plane.h"
#include "packer/agent/pack_store.h"
#include "packer/agent/packs_service.h"
#include "packer/metrics.h"
#include "packer/shard_index.h"
#include "packer/shards.h"
#include "packer/train_tokenizer.h"

ABSL_FLAG(std::string, coordinator, "localhost:7440", "address of the coordinator");
ABSL_FLAG(std::string, name, "", "name of this worker; default HOST-packer-PID");
ABSL_FLAG(std::string, listen_http, "127.0.0.1:7443", "address of /metrics and /healthz");
ABSL_FLAG(std::string, listen, "127.0.0.1:7442",
          "address where trainers fetch packs with direct delivery; empty, or --tls_ca without "
          "--tls_cert: they cannot");
ABSL_FLAG(
    std::string, advertise_host, "",
    "name or IP by which trainers reach --listen; default: its own, or this host's name where "
    "it says every address");
ABSL_FLAG(bool, insecure_listen, false, "serve packs to other hosts without TLS");
ABSL_FLAG(
    uint64_t, direct_bytes, uint64_t{1} << 30,
    "most bytes of packs kept for trainers to fetch; what does not fit goes through the relay");
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
          "index, train-tokenizer SHARDS: folder of the sidecars; default beside the shards");
ABSL_FLAG(std::string, output, "",
          "train-tokenizer: file of the model to write, a path or an s3:// URL");
ABSL_FLAG(uint32_t, vocabulary_size, 8000,
          "train-tokenizer: pieces of the model, the 256 bytes and begin and end among them");
ABSL_FLAG(double, character_coverage, 0.9995,
          "train-tokenizer: share of all characters that get pieces; others are spelled in bytes");
ABSL_FLAG(uint64_t, most_captions, 1000000,
          "train-tokenizer: captions to learn from, drawn from all; they are held in memory");
ABSL_FLAG(std::string, caption_field, "txt",
          "train-tokenizer SHARDS: where captions are, as captions.field of a job file");

namespace {

// The error of a flag; nothing is read from the network here.
absl::StatusOr<navit::ObjectStoreOptions> StoreOptions() {
  navit::ObjectStoreOptions options;
  options.environment = navit::ProcessEnvironment();
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

// Data sets of `navit-packer train-tokenizer`: those of a job file, or of the shards named.
absl::StatusOr<navit::v1::JobSpec> TrainingData(const std::vector<std::string>& arguments) {
  const bool is_job_file =
      std::any_of(arguments.begin(), arguments.end(), [](const std::string& argument) {
        return absl::EndsWith(argument, ".yaml") || absl::EndsWith(argument, ".yml") ||
               absl::EndsWith(argument, ".json");
      });
  navit::v1::JobSpec spec;
  if (!is_job_file) {
    for (const std::string& shards : arguments) {
      navit::v1::Dataset* dataset = spec.mutable_data()->add_train();
      dataset->set_shards(shards);
      dataset->mutable_captions()->set_field(absl::GetFlag(FLAGS_caption_field));
    }
    spec.mutable_data()->set_index(absl::GetFlag(FLAGS_index_folder));
  } else if (arguments.size() > 1) {
    return absl::InvalidArgumentError("train-tokenizer: name one job file, or shards");
  } else {
    NAVIT_ASSIGN_OR_RETURN(const std::string text, navit::ReadFile(arguments[0]));
    navit::SourceLocations locations;
    NAVIT_ASSIGN_OR_RETURN(spec, navit::ParseJobFile(text, arguments[0], &locations));
  }
  navit::ResolveJobSpec(&spec);
  if (spec.data().train().empty()) {
    return absl::InvalidArgumentError(
        "train-tokenizer: name a job file with data.train, or shards");
  }
  return spec;
}

// `navit-packer train-tokenizer JOB.yaml|SHARDS... --output=MODEL`.
int TrainTokenizer(const std::vector<std::string>& arguments) {
  const std::string output = absl::GetFlag(FLAGS_output);
  navit::TokenizerTraining training;
  training.model.vocabulary_size = absl::GetFlag(FLAGS_vocabulary_size);
  training.model.character_coverage = absl::GetFlag(FLAGS_character_coverage);
  training.most_captions = absl::GetFlag(FLAGS_most_captions);
  if (output.empty()) return Fail(absl::InvalidArgumentError("--output: name the model's file"));
  if (training.model.vocabulary_size < 260 || training.model.vocabulary_size > 65536) {
    return Fail(absl::InvalidArgumentError("--vocabulary_size: must be in [260, 65536]"));
  }
  if (!(training.model.character_coverage > 0 && training.model.character_coverage <= 1)) {
    return Fail(absl::InvalidArgumentError("--character_coverage: must be in (0, 1]"));
  }
  if (training.most_captions == 0) {
    return Fail(absl::InvalidArgumentError("--most_captions: must be at least 1"));
  }
  const absl::StatusOr<navit::v1::JobSpec> spec = TrainingData(arguments);
  if (!spec.ok()) return Fail(spec.status());
  const absl::StatusOr<navit::ObjectStoreOptions> options = StoreOptions();
  if (!options.ok()) return Fail(options.status());
  const std::shared_ptr<navit::ObjectStore> store = navit::MakeObjectStore(*options);
  const auto trained = navit::TrainTokenizer(store.get(), spec->data(), training);
  if (!trained.ok()) return Fail(trained.status());
  const absl::Status written = store->Write(output, trained->bytes);
  if (!written.ok()) return Fail(written);
  std::cout << output << ": " << training.model.vocabulary_size << " pieces, learnt from "
            << trained->captions_used << " of " << trained->captions << " captions\n";
  return 0;
}

// Where trainers fetch packs; nowhere without a certificate where the fleet uses TLS.
navit::GrpcServerOptions Serving() {
  navit::GrpcServerOptions serving;
  serving.listen = absl::GetFlag(FLAGS_listen);
  serving.insecure_listen = absl::GetFlag(FLAGS_insecure_listen);
  serving.tls = {absl::GetFlag(FLAGS_tls_cert), absl::GetFlag(FLAGS_tls_key),
                 absl::GetFlag(FLAGS_tls_ca)};
  if (!serving.tls.ca.empty() && serving.tls.certificate.empty() && serving.tls.key.empty()) {
    NAVIT_LOG(INFO) << "no --tls_cert: trainers get packs through the relay alone";
    serving.listen.clear();
  }
  return serving;
}

// By which trainers reach the server.
std::string PacksAddress(const navit::GrpcServer& server) {
  std::string host = absl::GetFlag(FLAGS_advertise_host);
  for (const absl::string_view any : {"0.0.0.0:", "[::]:", "*:"}) {
    if (host.empty() && absl::StartsWith(server.address(), any)) host = navit::HostName();
  }
  if (host.empty()) return server.address();
  // An IPv6 address stands in brackets before a port.
  if (absl::StrContains(host, ':')) host = absl::StrCat("[", host, "]");
  return absl::StrCat(host, ":", server.port());
}

int Serve() {
  navit::ShutdownSignals signals;
  std::string name = absl::GetFlag(FLAGS_name);
  if (name.empty()) name = navit::DefaultWorkerName("packer");
  navit::SetLogIdentity("packer", name);
  if (absl::GetFlag(FLAGS_threads) < 1) {
    return Fail(absl::InvalidArgumentError("--threads: must be at least 1"));
  }

  navit::PackerCaps caps;
  caps.read_ahead_bytes = absl::GetFlag(FLAGS_read_ahead_bytes);
  caps.made_bytes = navit::AgentOptions().max_queued_bytes;
  caps.kept_bytes = absl::GetFlag(FLAGS_direct_bytes);
  navit::PackerMetrics metrics(absl::GetFlag(FLAGS_threads), caps);
  auto http =
      navit::HttpServer::Start(absl::GetFlag(FLAGS_listen_http),
                               {{"/metrics", navit::MetricsRoute("packer", metrics.registry())}});
  if (!http.ok()) return Fail(http.status());

  navit::PackStore store(caps.kept_bytes, [&](uint64_t bytes) { metrics.BytesKept(bytes); });
  const std::unique_ptr<grpc::Service> packs = navit::MakePacksService(&store, &metrics);
  std::unique_ptr<navit::GrpcServer> server;
  if (const navit::GrpcServerOptions serving = Serving(); !serving.listen.empty()) {
    auto started = navit::GrpcServer::Start(serving, {packs.get()});
    if (!started.ok()) return Fail(started.status());
    server = *std::move(started);
  }

  navit::AgentOptions options;
  options.max_queued_bytes = caps.made_bytes;
  options.coordinator = absl::GetFlag(FLAGS_coordinator);
  options.channel.tls.ca = absl::GetFlag(FLAGS_tls_ca);
  options.channel.tls.certificate = absl::GetFlag(FLAGS_tls_cert);
  options.channel.tls.key = absl::GetFlag(FLAGS_tls_key);
  options.channel.tls_server_name = absl::GetFlag(FLAGS_tls_server_name);
  options.name = name;
  options.incarnation = navit::NewIncarnation();
  options.host = navit::HostName();
  options.http_address = (*http)->address();
  options.packs_address = server == nullptr ? "" : PacksAddress(*server);
  options.store = &store;
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
  const absl::StatusOr<navit::ObjectStoreOptions> sources = StoreOptions();
  if (!sources.ok()) return Fail(sources.status());
  data_options.store = *sources;
  data_options.store.observer = &metrics;
  data_options.read_ahead.observer = &metrics;
  data_options.read_ahead.max_bytes = caps.read_ahead_bytes;
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
  if (absl::Status status = navit::WritePortFile(
          {{"http", (*http)->port()}, {"grpc", server == nullptr ? 0 : server->port()}});
      !status.ok()) {
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
      {"navit-packer", "makes packs",
       "--coordinator HOST:PORT [flags] | index SHARDS... [flags]\n"
       "       | train-tokenizer JOB.yaml|SHARDS... --output=MODEL [--vocabulary_size=N]\n"
       "         [--character_coverage=SHARE] [--most_captions=N]"});
  if (arguments.empty()) return Serve();
  if (arguments[0] == "index") return Index({arguments.begin() + 1, arguments.end()});
  if (arguments[0] == "train-tokenizer") {
    return TrainTokenizer({arguments.begin() + 1, arguments.end()});
  }
  return Fail(absl::InvalidArgumentError("unexpected argument: " + arguments[0]));
}
