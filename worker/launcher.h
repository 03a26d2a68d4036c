// Trainers as children of one process: one for each device of a machine.
#ifndef NAVIT_WORKER_LAUNCHER_H_
#define NAVIT_WORKER_LAUNCHER_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"

namespace navit {

// They live and end together: one that fails takes the others along, in good order, and whoever
// started the launcher (Kubernetes, systemd) starts all of them again.
class Launcher {
 public:
  struct Child {
    // In log lines.
    std::string device;
    // From argv[0] on.
    std::vector<std::string> arguments;
  };

  // Starts `program` for each child, in a process group of its own, so that a terminal's Ctrl-C
  // reaches the launcher alone. The kernel kills the children when the calling thread ends, however
  // it ends: call it on main's. They inherit which signals it blocks. Internal: the system starts
  // no more processes; those that were started are killed.
  static absl::StatusOr<std::unique_ptr<Launcher>> Start(const std::string& program,
                                                         const std::vector<Child>& children);
  // Kills those that still run.
  ~Launcher();
  Launcher(const Launcher&) = delete;
  Launcher& operator=(const Launcher&) = delete;

  // Tells all that still run to end (SIGTERM). Thread-safe, returns at once.
  void Drain();

  // Until all have ended. After one that ended well (a signal of its own told it to) the others go
  // on; after one that failed they are told to end. Returns the exit status of the first that
  // failed, 128 + the signal that killed it, or 0. Reaps every child of this process.
  int Wait();

 private:
  struct Process {
    std::string device;
    // 0: reaped, its number may be another process's.
    pid_t pid = 0;
  };

  Launcher() = default;
  // Signals all that still run.
  void Signal(int number) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool AnyRuns();
  // Waits until one has ended, and reaps it; `code` as Wait.
  void ReapOne(int* code);

  absl::Mutex mutex_;
  std::vector<Process> processes_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace navit

#endif  // NAVIT_WORKER_LAUNCHER_H_
