#include "worker/launcher.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "common/log.h"

namespace navit {
namespace {

// As a shell says that a program cannot be started.
constexpr int kNotStarted = 127;

// In the child, after fork in a process with threads: only calls that are safe in signal handlers.
[[noreturn]] void Become(const char* program, char* const* argv, pid_t launcher) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  // It may have ended before that.
  if (::getppid() == launcher) ::execv(program, argv);
  ::_exit(kNotStarted);
}

absl::StatusOr<pid_t> StartProcess(const std::string& program, const Launcher::Child& child) {
  std::vector<char*> argv;
  for (const std::string& argument : child.arguments) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  const pid_t launcher = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) Become(program.c_str(), argv.data(), launcher);
  if (pid < 0) {
    return absl::InternalError(absl::StrCat("the trainer on ", child.device,
                                            " cannot be started: fork: ", std::strerror(errno)));
  }
  return pid;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Launcher>> Launcher::Start(const std::string& program,
                                                          const std::vector<Child>& children) {
  // Ignored, as some parents leave it, ended children would be gone with their status.
  ::signal(SIGCHLD, SIG_DFL);
  std::unique_ptr<Launcher> launcher(new Launcher);
  absl::MutexLock lock(&launcher->mutex_);
  for (const Child& child : children) {
    const absl::StatusOr<pid_t> pid = StartProcess(program, child);
    if (!pid.ok()) return pid.status();
    NAVIT_LOG(INFO) << "started the trainer on " << child.device << " as process " << *pid;
    launcher->processes_.push_back({child.device, *pid});
  }
  return launcher;
}

Launcher::~Launcher() {
  {
    absl::MutexLock lock(&mutex_);
    Signal(SIGKILL);
  }
  int code = 1;
  while (AnyRuns()) ReapOne(&code);
}

void Launcher::Drain() {
  absl::MutexLock lock(&mutex_);
  Signal(SIGTERM);
}

int Launcher::Wait() {
  int code = 0;
  while (AnyRuns()) ReapOne(&code);
  return code;
}

void Launcher::Signal(int number) {
  for (const Process& process : processes_) {
    if (process.pid != 0) ::kill(process.pid, number);
  }
}

bool Launcher::AnyRuns() {
  absl::MutexLock lock(&mutex_);
  return std::any_of(processes_.begin(), processes_.end(),
                     [](const Process& process) { return process.pid != 0; });
}

void Launcher::ReapOne(int* code) {
  // Leaves it a zombie: until it is reaped under the lock, nobody signals a stranger with its
  // number.
  siginfo_t ended = {};
  if (::waitid(P_ALL, 0, &ended, WEXITED | WNOWAIT) != 0) {
    NAVIT_CHECK(errno == EINTR) << "waitid: " << std::strerror(errno);
    return;
  }
  absl::MutexLock lock(&mutex_);
  int status = 0;
  NAVIT_CHECK(::waitpid(ended.si_pid, &status, 0) == ended.si_pid);
  const auto process = std::find_if(processes_.begin(), processes_.end(),
                                    [&](const Process& each) { return each.pid == ended.si_pid; });
  // As the first process of a container it gets orphans, too.
  if (process == processes_.end()) return;
  process->pid = 0;
  const std::string who =
      absl::StrCat("the trainer on ", process->device, ", process ", ended.si_pid, ", ");
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
    NAVIT_LOG(INFO) << who << "has ended as told";
    return;
  }
  const bool killed = WIFSIGNALED(status);
  if (*code == 0) {
    *code = killed ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    Signal(SIGTERM);
  }
  NAVIT_LOG(ERROR) << who
                   << (killed ? absl::StrCat("was killed by signal ", WTERMSIG(status))
                              : absl::StrCat("ended with status ", WEXITSTATUS(status)))
                   << ": the others end, too";
}

}  // namespace navit
