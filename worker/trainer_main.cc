// navit-trainer: one rank of a training job at a time, on the CPU or on a GPU; or with --devices
// the parent of one such trainer for each device.
#include <atomic>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/flags/declare.h"
#include "absl/flags/flag.h"
#include "common/http_server.h"
#include "common/lifecycle.h"
#include "common/log.h"
#include "common/log_shipper.h"
#include "common/metrics.h"
#include "common/object_store/object_store.h"
#include "common/version.h"
#include "kernels/cuda/linear_choices_file.h"
#include "worker/accelerator.h"
#include "worker/child_flags.h"
#include "worker/launcher.h"
#include "worker/trainer.h"

ABSL_DECLARE_FLAG(std::string, port_file);

ABSL_FLAG(std::string, coordinator, "localhost:7440", "address of the coordinator");
ABSL_FLAG(std::string, name, "", "name of this worker; default HOST-trainer-PID");
ABSL_FLAG(
    std::string, device, "",
    "what to train on: cpu (as without the flag), cuda (GPU 0 of CUDA_VISIBLE_DEVICES) or cuda:N; "
    "this trainer gets jobs whose workers.trainers.device is cpu or cuda accordingly");
ABSL_FLAG(
    std::string, devices, "",
    "start a trainer for each of several devices: all (every GPU), or a list as cuda:0,cuda:1; "
    "they "
    "end together. Number N, from 0, has -N behind --name and .N behind --port_file, port + N of "
    "--listen_http and an equal part of --collective_ports");
ABSL_FLAG(
    std::string, linear_choices, "",
    "file of linear_tune (kernels/bench): algorithms of cuBLASLt for the linear layers, measured "
    "on a GPU; on another kind of GPU, or with another cuBLASLt, they are not used");
ABSL_FLAG(std::string, listen_http, "127.0.0.1:7445", "address of /metrics and /healthz");
ABSL_FLAG(std::string, collective_host, "127.0.0.1",
          "address under which the other trainers reach this one");
ABSL_FLAG(std::string, collective_ports, "",
          "FIRST-LAST: where this trainer listens for the others, a port for each; default: "
          "the system chooses");
ABSL_FLAG(std::string, tls_ca, "", "PEM file of the authority that signed the coordinator's key");
ABSL_FLAG(std::string, tls_cert, "", "PEM file of this worker's certificate");
ABSL_FLAG(std::string, tls_key, "", "PEM file of this worker's key");
ABSL_FLAG(std::string, tls_server_name, "", "name expected in the coordinator's certificate");
ABSL_FLAG(
    std::string, packer_tls_server_name, "",
    "name expected in packers' certificates, where packs come from them directly; default: the "
    "host that is dialled");
ABSL_FLAG(double, coordinator_grace_seconds, 600, "how long the coordinator may be away");

namespace {

// A trainer for each of --devices, until all have ended. `arguments`: of this process, from
// argv[0].
int LaunchTrainers(std::vector<std::string> arguments, navit::SharedFlags shared) {
  // Outlives the thread that handles signals.
  std::unique_ptr<navit::Launcher> launcher;
  navit::ShutdownSignals signals;
  const std::string text = absl::GetFlag(FLAGS_devices);
  if (!absl::GetFlag(FLAGS_device).empty()) {
    std::cerr << "navit-trainer: --devices and --device exclude each other\n";
    return 2;
  }
  const auto devices = navit::ParseDevices(text, navit::CountAccelerators);
  if (!devices.ok()) {
    std::cerr << "navit-trainer: --devices=" << text << ": " << devices.status().message() << "\n";
    return 2;
  }
  shared.listen_http = absl::GetFlag(FLAGS_listen_http);
  shared.port_file = absl::GetFlag(FLAGS_port_file);
  const auto flags = navit::ChildFlags(shared, *devices);
  if (!flags.ok()) {
    std::cerr << "navit-trainer: " << flags.status().message() << "\n";
    return 2;
  }
  // What ends the flags, with nothing behind it: more of them follow.
  if (arguments.back() == "--") arguments.pop_back();
  std::vector<navit::Launcher::Child> children;
  for (size_t i = 0; i < devices->size(); ++i) {
    children.push_back({(*devices)[i], arguments});
    std::vector<std::string>& all = children.back().arguments;
    all.insert(all.end(), (*flags)[i].begin(), (*flags)[i].end());
  }
  // This very build, even if its file has been replaced.
  auto started = navit::Launcher::Start("/proc/self/exe", children);
  if (!started.ok()) {
    std::cerr << "navit-trainer: " << started.status().message() << "\n";
    return 1;
  }
  launcher = *std::move(started);
  signals.OnRequest([&] { launcher->Drain(); });
  // One that came before.
  if (signals.requested()) launcher->Drain();
  return launcher->Wait();
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments = navit::InitProgram(
      argc, argv, {"navit-trainer", "trains one rank of a job", "--coordinator HOST:PORT [flags]"});
  if (!arguments.empty()) {
    std::cerr << "navit-trainer: unexpected argument: " << arguments[0] << "\n";
    return 2;
  }
  std::string name = absl::GetFlag(FLAGS_name);
  if (name.empty()) name = navit::DefaultWorkerName("trainer");
  navit::SetLogIdentity("trainer", name);
  const auto ports = navit::ParsePortRange(absl::GetFlag(FLAGS_collective_ports));
  if (!ports.ok()) {
    std::cerr << "navit-trainer: --collective_ports: " << ports.status().message() << "\n";
    return 2;
  }
  if (!absl::GetFlag(FLAGS_devices).empty()) {
    navit::SharedFlags shared;
    shared.name = name;
    shared.collective_ports = *ports;
    return LaunchTrainers({argv, argv + argc}, std::move(shared));
  }
  navit::ShutdownSignals signals;

  navit::TrainerOptions options;
  options.session.coordinator = absl::GetFlag(FLAGS_coordinator);
  options.session.channel.tls.ca = absl::GetFlag(FLAGS_tls_ca);
  options.session.channel.tls.certificate = absl::GetFlag(FLAGS_tls_cert);
  options.session.channel.tls.key = absl::GetFlag(FLAGS_tls_key);
  options.session.channel.tls_server_name = absl::GetFlag(FLAGS_tls_server_name);
  options.run.packers = options.session.channel;
  options.run.packers.tls_server_name = absl::GetFlag(FLAGS_packer_tls_server_name);
  options.session.grace = absl::Seconds(absl::GetFlag(FLAGS_coordinator_grace_seconds));
  options.run.collective_host = absl::GetFlag(FLAGS_collective_host);
  options.run.collective_ports = *ports;
  const std::string named = absl::GetFlag(FLAGS_device);
  const auto device = navit::ParseDevice(named.empty() ? "cpu" : named);
  if (!device.ok()) {
    std::cerr << "navit-trainer: --device: " << device.status().message() << "\n";
    return 2;
  }
  navit::kernels::cuda::LinearChoices choices;
  if (const std::string file = absl::GetFlag(FLAGS_linear_choices); !file.empty()) {
    if (!device->has_value()) {
      std::cerr << "navit-trainer: --linear_choices is for a trainer on a GPU\n";
      return 2;
    }
    auto read = navit::kernels::cuda::ReadLinearChoices(file);
    if (!read.ok()) {
      std::cerr << "navit-trainer: --linear_choices: " << read.status().message() << "\n";
      return 2;
    }
    choices = *std::move(read);
  }
  std::unique_ptr<navit::Accelerator> accelerator;
  if (device->has_value()) {
    auto opened = navit::OpenAccelerator(**device, choices);
    if (!opened.ok()) {
      std::cerr << "navit-trainer: --device=" << named << ": " << opened.status().message() << "\n";
      return 2;
    }
    accelerator = *std::move(opened);
  }
  options.run.accelerator = accelerator.get();
  navit::ObjectStoreOptions store;
  store.environment = navit::ProcessEnvironment();
  options.run.store = navit::MakeObjectStore(store);
  navit::v1::RegisterRequest& registration = options.session.registration;
  registration.mutable_worker()->set_name(name);
  registration.mutable_worker()->set_incarnation(navit::NewIncarnation());
  registration.set_role(navit::v1::TRAINER);
  registration.set_version(navit::Version());
  registration.set_host(navit::HostName());
  registration.set_threads(std::thread::hardware_concurrency());
  registration.set_device(accelerator == nullptr ? "cpu" : accelerator->gpu.device->name());

  // The port must be known before registration names it, and the metrics exist only with the
  // trainer: the route looks them up.
  auto registry = std::make_shared<std::shared_ptr<prometheus::Registry>>();
  auto ready = std::make_shared<std::atomic<bool>>(false);
  auto http =
      navit::HttpServer::Start(absl::GetFlag(FLAGS_listen_http),
                               {{"/metrics", [registry, ready](const navit::HttpRequest& request) {
                                   if (!*ready)
                                     return navit::HttpResponse{503, "text/plain", "starting\n"};
                                   return navit::MetricsRoute("trainer", *registry)(request);
                                 }}});
  if (!http.ok()) {
    std::cerr << "navit-trainer: " << http.status().message() << "\n";
    return 2;
  }
  registration.set_http_address((*http)->address());

  navit::LogShipperOptions shipping;
  shipping.coordinator = options.session.coordinator;
  shipping.channel = options.session.channel;
  shipping.worker = registration.worker();
  const auto shipper = navit::LogShipper::Start(std::move(shipping));
  if (!shipper.ok()) {
    std::cerr << "navit-trainer: " << shipper.status().message() << "\n";
    return 2;
  }

  auto trainer = navit::Trainer::Start(std::move(options));
  if (!trainer.ok()) {
    std::cerr << "navit-trainer: " << trainer.status().message() << "\n";
    return 2;
  }
  *registry = (*trainer)->metrics();
  *ready = true;
  if (absl::Status status = navit::WritePortFile({{"http", (*http)->port()}}); !status.ok()) {
    std::cerr << "navit-trainer: " << status.message() << "\n";
    return 2;
  }
  signals.OnRequest([&] {
    NAVIT_LOG(INFO) << "told to end: finishing the step at hand";
    (*trainer)->Drain();
  });
  // One that came before.
  if (signals.requested()) (*trainer)->Drain();
  const absl::Status status = (*trainer)->WaitUntilEnded();
  if (status.ok()) return 0;
  NAVIT_LOG(ERROR) << "ended: " << status.message();
  return 1;
}
