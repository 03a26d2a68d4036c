// Start and end of a program: flags with environment twins, --help, --version, signals, port file.
// For *_main.cc only.
//
//   ABSL_FLAG(std::string, listen_http, "127.0.0.1:7443", "address of /metrics and /healthz");
//
//   int main(int argc, char** argv) {
//     std::vector<std::string> arguments = navit::InitProgram(
//         argc, argv, {.name = "navit-packer", .summary = "makes packs", .usage = "[flags]"});
//     navit::ShutdownSignals signals;   // before any thread
//     …
//     signals.Wait();
#ifndef NAVIT_COMMON_LIFECYCLE_H_
#define NAVIT_COMMON_LIFECYCLE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/notification.h"

namespace navit {

struct ProgramInfo {
  const char* name;
  // One line.
  const char* summary;
  // What follows the name on the first line of --help.
  const char* usage;
};

// Applies process_settings.h, handles --help and --version (print, exit 0), parses flags (a mistake prints a line, exit 2),
// sets the log's level and format and returns what is left of the command line. Flags that
// every program gets here: --log-level, --log-format, --port-file, --help, --version.
std::vector<std::string> InitProgram(int argc, char** argv, const ProgramInfo& info);

// Sets the process's absl flags: first from the environment (flag `listen_http` ⇒
// NAVIT_LISTEN_HTTP; an empty value counts as absent), then from `arguments` (without the program's
// name), so that the command line wins. --listen-http and --listen_http are the same; `--flag
// value`, `--flag=value`, for booleans `--flag` and `--noflag`; `--` ends flags. Returns the
// positional arguments. InvalidArgument names the flag or the variable.
absl::StatusOr<std::vector<std::string>> ParseFlags(
    const std::vector<std::string>& arguments,
    const std::function<const char*(const char*)>& environment);

// What --help prints: the program's own flags with defaults and environment twins.
std::string HelpText(const ProgramInfo& info);

// Turns SIGTERM and SIGINT into a notification. Make one in main before any thread starts (threads
// inherit the blocked mask). A second signal ends the process at once with 128 + its number.
// SIGPIPE is ignored from then on.
class ShutdownSignals {
 public:
  ShutdownSignals();
  ~ShutdownSignals();
  // Blocks until the first signal, or Trigger.
  void Wait();
  bool requested() const { return requested_.HasBeenNotified(); }
  // As a first signal would: the program ends itself (fenced, for example).
  void Trigger();
  // Runs once, on its own thread, right at the first signal. Set it before signals can come.
  void OnRequest(std::function<void()> callback);

 private:
  struct Impl;
  absl::Notification requested_;
  std::unique_ptr<Impl> impl_;
};

// With --port-file FILE: writes the ports that the program listens on, one "name port" per line
// ("grpc 40123\nhttp 40124\n"), atomically, once it serves. Without the flag: nothing. How tests and
// scripts that ask for port 0 learn what they got.
absl::Status WritePortFile(const std::vector<std::pair<std::string, int>>& ports);

// HOST-ROLE-PID: the default name of a worker.
std::string DefaultWorkerName(const std::string& role);
std::string HostName();
// A number that is larger at every start of a program of this host: unix milliseconds, with 20
// random low bits.
uint64_t NewIncarnation();

}  // namespace navit

#endif  // NAVIT_COMMON_LIFECYCLE_H_
