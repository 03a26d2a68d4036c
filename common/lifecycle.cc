#include "common/lifecycle.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <random>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/files.h"
#include "common/log.h"
#include "common/process_settings.h"
#include "common/version.h"

ABSL_FLAG(std::string, log_level, "info",
          "debug, info, warning or error: lines below it are not "
          "written");
ABSL_FLAG(std::string, log_format, "text", "of the lines on stderr: text (logfmt) or json");
ABSL_FLAG(std::string, port_file, "",
          "write the ports in use to this file once "
          "the program serves");

namespace navit {

std::vector<std::string> InitProgram(int argc, char** argv, const ProgramInfo& info) {
  ApplyProcessSettings();
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  for (const std::string& argument : arguments) {
    if (argument == "--") break;
    if (argument == "--help" || argument == "-h") {
      std::fputs(HelpText(info).c_str(), stdout);
      std::exit(0);
    }
    if (argument == "--version") {
      std::printf("%s %s (%s)\n", info.name, Version(), Revision());
      std::exit(0);
    }
  }
  absl::StatusOr<std::vector<std::string>> positional =
      ParseFlags(arguments, [](const char* name) -> const char* { return std::getenv(name); });
  LogLevel level = LogLevel::INFO;
  std::string error;
  if (!positional.ok()) {
    error = std::string(positional.status().message());
  } else if (!ParseLogLevel(absl::GetFlag(FLAGS_log_level), &level)) {
    error = absl::StrCat("--log-level: '", absl::GetFlag(FLAGS_log_level), "' is no level");
  }
  const std::string format = absl::GetFlag(FLAGS_log_format);
  if (error.empty() && format != "text" && format != "json") {
    error = absl::StrCat("--log-format: must be text or json, is '", format, "'");
  }
  if (!error.empty()) {
    std::fprintf(stderr, "%s: %s\n", info.name, error.c_str());
    std::exit(2);
  }
  SetMinLogLevel(level);
  SetLogFormat(format == "json" ? LogFormat::kJson : LogFormat::kText);
  return *std::move(positional);
}

struct ShutdownSignals::Impl {
  // Requests the end; only the first call has an effect.
  void Request(absl::Notification* requested) {
    std::function<void()> to_run;
    {
      absl::MutexLock lock(&mutex);
      if (done) return;
      done = true;
      to_run = callback;
    }
    if (to_run) to_run();
    requested->Notify();
  }

  absl::Mutex mutex;
  bool done ABSL_GUARDED_BY(mutex) = false;
  std::function<void()> callback ABSL_GUARDED_BY(mutex);
  sigset_t watched;
  sigset_t previous;
  std::thread watcher;
};

namespace {
// Ends the watcher thread; SIGURG is ignored by default, so a stray one does no harm elsewhere.
constexpr int kStopWatching = SIGURG;
}  // namespace

ShutdownSignals::ShutdownSignals() : impl_(std::make_unique<Impl>()) {
  ::signal(SIGPIPE, SIG_IGN);
  sigemptyset(&impl_->watched);
  sigaddset(&impl_->watched, SIGTERM);
  sigaddset(&impl_->watched, SIGINT);
  sigaddset(&impl_->watched, kStopWatching);
  pthread_sigmask(SIG_BLOCK, &impl_->watched, &impl_->previous);
  impl_->watcher = std::thread([this] {
    bool first = true;
    while (true) {
      int signal_number = 0;
      if (sigwait(&impl_->watched, &signal_number) != 0) continue;
      if (signal_number == kStopWatching) return;
      if (!first) ::_exit(128 + signal_number);
      first = false;
      NAVIT_LOG(INFO) << "signal " << signal_number << ": shutting down; another one ends at once";
      impl_->Request(&requested_);
    }
  });
}

ShutdownSignals::~ShutdownSignals() {
  pthread_kill(impl_->watcher.native_handle(), kStopWatching);
  impl_->watcher.join();
  pthread_sigmask(SIG_SETMASK, &impl_->previous, nullptr);
}

void ShutdownSignals::Wait() { requested_.WaitForNotification(); }

void ShutdownSignals::Trigger() { impl_->Request(&requested_); }

void ShutdownSignals::OnRequest(std::function<void()> callback) {
  absl::MutexLock lock(&impl_->mutex);
  impl_->callback = std::move(callback);
}

absl::Status WritePortFile(const std::vector<std::pair<std::string, int>>& ports) {
  const std::string path = absl::GetFlag(FLAGS_port_file);
  if (path.empty()) return absl::OkStatus();
  std::string text;
  for (const auto& [name, port] : ports) absl::StrAppend(&text, name, " ", port, "\n");
  return AtomicWriteFile(path, text);
}

std::string HostName() {
  char name[256] = {};
  if (::gethostname(name, sizeof(name) - 1) != 0 || name[0] == '\0') return "localhost";
  return name;
}

std::string DefaultWorkerName(const std::string& role) {
  return absl::StrCat(HostName(), "-", role, "-", ::getpid());
}

uint64_t NewIncarnation() {
  std::random_device random;
  const uint64_t milliseconds = static_cast<uint64_t>(absl::ToUnixMillis(absl::Now()));
  return (milliseconds << 20) | (random() & 0xfffffu);
}

}  // namespace navit
