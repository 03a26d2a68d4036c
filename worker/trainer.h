// The trainer process: its tie to the coordinator, and one training run at a time.
#ifndef NAVIT_WORKER_TRAINER_H_
#define NAVIT_WORKER_TRAINER_H_

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/worker_session.h"
#include "worker/metrics.h"
#include "worker/phase_clock.h"
#include "worker/protocol_cell.h"
#include "worker/training_run.h"

namespace navit {

struct TrainerOptions {
  // registration.worker names this trainer; the rest of the registration is filled in by the
  // caller.
  WorkerSessionOptions session;
  // `worker` and `channel` are filled in by Trainer.
  TrainingRunOptions run;
};

// Directives of the coordinator go into the protocol (worker/protocol); a thread of its own does
// what the protocol says is to do: start a run, leave it, free the weights, end.
class Trainer : private WorkerSessionDelegate {
 public:
  static absl::StatusOr<std::unique_ptr<Trainer>> Start(TrainerOptions options);
  // Leaves at once, as if the process died: nothing more is applied or reported.
  ~Trainer() override;

  std::shared_ptr<prometheus::Registry> metrics() const { return metrics_.registry(); }

  // Finish the step at hand, say so, and end. Thread-safe, returns at once.
  void Drain();
  // Until drained (OK), fenced (Unauthenticated), refused, without a coordinator for longer than
  // the grace, or without a GPU that works (Internal), which only a new process gets back.
  absl::Status WaitUntilEnded();
  // Leaves the current run at once, for tests: to its peers this rank is dead.
  void CutOff();

 private:
  explicit Trainer(TrainerOptions options);

  void OnDirective(const v1::Directive& directive) override;
  v1::WorkerReport BuildReport() override;
  void OnReportSent(const v1::WorkerReport& report, absl::Duration sent_at) override;
  void OnEnded(const absl::Status& status) override;

  // The thread that acts.
  void Control();
  void StartRun();
  void FinishRun();
  // An error that stays with the GPU.
  absl::Status DeviceStatus() const;
  void End(const absl::Status& status);
  void ReportChanged();

  TrainerOptions options_;
  TrainerMetrics metrics_;
  PhaseClock phases_{&metrics_};
  ProtocolCell cell_;

  // Of the control thread, but run_ may be cancelled and drained by others under run_mutex_.
  std::unique_ptr<TrainerModel> model_;
  std::mutex run_mutex_;
  std::unique_ptr<TrainingRun> run_;
  std::thread run_thread_;
  bool running_ = false;
  TrainingRun::Outcome outcome_;

  std::atomic<bool> run_done_{false};
  std::atomic<bool> draining_{false};
  std::atomic<bool> stopping_{false};
  std::atomic<bool> drained_report_sent_{false};
  std::mutex bad_checkpoint_mutex_;
  std::string bad_checkpoint_;

  // Steady time of the last telemetry; used by BuildReport alone.
  absl::Duration telemetry_sent_ = -absl::InfiniteDuration();

  std::mutex end_mutex_;
  std::condition_variable end_signal_;
  bool ended_ = false;
  absl::Status end_status_;

  std::unique_ptr<WorkerSession> session_;
  std::atomic<WorkerSession*> session_to_tell_{nullptr};
  std::thread control_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_TRAINER_H_
