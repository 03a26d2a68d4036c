// One generation, as one rank lives it: meet the other ranks, get the job's weights, step until the
// job ends, a stop is asked for, or something breaks.
//
//   1. Rendezvous: the ranks connect (communicator.h).
//   2. Weights: from the source rank by broadcast, from the checkpoint, or fresh; then all ranks
//      compare a hash of them.
//   3. Per step: wait for its packs (on a GPU those of the next one are taken and sent to it while
//      this one computes, if they are there) → gradients over all ranks → gather the digest of the
//      packs → apply → record the report. Rank 0 sends reports while the next step runs.
//   4. Every so often: checkpoint (rank 0), evaluation, comparison of the replicas.
//   5. At the job's end: evaluation, last checkpoint, all reports acknowledged.
//
// A job of workers.trainers.device cuda trains on the trainer's GPU, and its ranks meet by NCCL.
// The weights are on the device then, and evaluation embeds there; the host's are brought up to
// date before checkpoints and comparisons, and at the run's end, so that this rank can be a source.
#ifndef NAVIT_WORKER_TRAINING_RUN_H_
#define NAVIT_WORKER_TRAINING_RUN_H_

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/object_store/object_store.h"
#include "kernels/thread_pool.h"
#include "worker/accelerator.h"
#include "worker/batch_source.h"
#include "worker/checkpointer.h"
#include "worker/communicator.h"
#include "worker/evaluation.h"
#include "worker/metrics.h"
#include "worker/model/embed.h"
#include "worker/model/train_step.h"
#include "worker/parsed_packs.h"
#include "worker/phase_clock.h"
#include "worker/port_range.h"
#include "worker/protocol_cell.h"
#include "worker/run_client.h"
#include "worker/run_device.h"
#include "worker/step_reporter.h"
#include "worker/stuck_loss.h"

namespace navit {

// A job's weights on this trainer; they survive from one generation to the next.
struct TrainerModel {
  TrainerModel(const ModelConfig& config, bool with_average)
      : table(config), state(table, with_average) {}
  const ParameterTable table;
  ModelState state;
};

struct TrainingRunOptions {
  v1::WorkerId worker;
  // To the coordinator.
  std::shared_ptr<grpc::Channel> channel;
  // How packers are dialled.
  ChannelOptions packers;
  // This host's address for collectives.
  std::string collective_host = "127.0.0.1";
  PortRange collective_ports;
  // This trainer's GPU; null: it has none. Outlives the runs.
  Accelerator* accelerator = nullptr;
  // Where init_from is read from.
  std::shared_ptr<ObjectStore> store = MakeObjectStore();
  // Replicas are compared after every so many steps.
  uint64_t compare_every_steps = 100;
  // Tests: called at the start of every phase, on the run's threads.
  std::function<void(v1::Phase, uint64_t step)> on_phase;
};

class TrainingRun {
 public:
  // `model` and the pointers must outlive the run; `model` is used by Execute alone.
  TrainingRun(const TrainingRunOptions& options, const TrainerProtocol::Run& run,
              TrainerModel* model, ProtocolCell* cell, PhaseClock* phases, TrainerMetrics* metrics);
  // Closes the communicator.
  ~TrainingRun();

  // Lives the generation; once. Tells the protocol about loading, loaded and applied steps, but not
  // about the end: the caller does, with the outcome.
  struct Outcome {
    TrainerProtocol::RunEnd end = TrainerProtocol::RunEnd::kBroken;
    std::string failure;
    // See TrainerState.bad_checkpoint.
    std::string bad_checkpoint;
  };
  Outcome Execute();

  // Ends Execute soon, whatever it waits for. Whether a step whose gradients are complete is still
  // applied is the protocol's decision (MayApply). Thread-safe.
  void Cancel();
  // The step at hand is finished, then Execute ends. Thread-safe.
  void Drain();

 private:
  absl::Status Main();
  absl::Status LoadState();
  absl::Status MakeStep(const TrainStepOptions& options);
  // Brings the host's weights up to date.
  absl::Status ReadState();
  // At the end: or says that this trainer has none.
  void KeepState();
  absl::Status Steps();
  // Ok and true: start it; ok and false: stop after the step before.
  absl::StatusOr<bool> AwaitStart(uint64_t step);
  // A step's packs.
  struct StepInput {
    StepPacks packs;
    // Whether `step_` has its batches already, which then are not in `parsed`.
    bool prepared = false;
    ParsedPacks parsed;
  };
  // While step - 1 computes.
  void PrepareAhead(uint64_t step);
  absl::Status TrainOn(StepInput* input, absl::Duration waiting_since);
  // Rank 0 says when a softmax loss does not move from that of chance.
  void WatchLoss(uint64_t step, const StepGradients& gradients);
  absl::Status AfterStep(uint64_t step, bool last);
  absl::Status Finish(uint64_t step);
  absl::Status Stop(uint64_t step);
  EvaluationArgs EvaluationOf(uint64_t step, PackEmbedder* embedder);
  // evaluation.tasks on held-out data, and retrieval over the trained pairs if they are wanted; all
  // splits in one report: a later one replaces it.
  absl::Status Evaluate(bool trained_pairs, uint64_t step);
  // All that an EvaluationJob does.
  absl::Status RunEvaluationJob();
  absl::Status AwaitAcknowledged();
  absl::Status Fatal(absl::Status status);
  // Not Ok: the coordinator does not take reports of steps any more.
  absl::Status ReportStatus() const;
  void Enter(v1::Phase phase, uint64_t step, const char* label = nullptr);
  bool ended() const { return cancelled_ || !ReportStatus().ok(); }

  const TrainingRunOptions options_;
  const TrainerProtocol::Run run_;
  const v1::JobSpec& spec_;
  TrainerModel* const model_;
  ProtocolCell* const cell_;
  PhaseClock* const phases_;
  TrainerMetrics* const metrics_;

  // Of the GPU, where the job is on one.
  const RunMemory memory_;
  RunClient client_;
  // Null where there can be none, and then why.
  absl::StatusOr<std::unique_ptr<Communicator>> communicator_;
  Communicator* const collective_;
  std::unique_ptr<kernels::ThreadPool> pool_;
  std::unique_ptr<TrainStep> step_;
  std::unique_ptr<BatchSource> source_;
  // What PrepareAhead took.
  std::optional<StepInput> ahead_;
  std::unique_ptr<Checkpointer> checkpointer_;
  uint32_t nonfinite_ = 0;
  StuckLoss stuck_loss_;
  uint64_t current_step_ = 0;
  // The weights on the device are undefined.
  bool state_lost_ = false;
  bool fatal_ = false;
  std::string bad_checkpoint_;

  std::atomic<bool> cancelled_{false};
  std::atomic<bool> draining_{false};
  // Rank 0's.
  std::unique_ptr<StepReporter> reporter_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_TRAINING_RUN_H_
