// Rank 0's checkpoints during a run: copied on the step's path, written and recorded beside it.
#ifndef NAVIT_WORKER_CHECKPOINTER_H_
#define NAVIT_WORKER_CHECKPOINTER_H_

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>

#include "absl/status/status.h"
#include "worker/checkpoint.h"
#include "worker/metrics.h"
#include "worker/model/parameters.h"
#include "worker/run_client.h"

namespace navit {

// Used by one thread. A checkpoint that falls due while the last one is still being written, or
// that failed (full disk), is made at a later step. A failure is told to the coordinator, counted,
// and does no harm to older checkpoints.
class Checkpointer {
 public:
  // All must outlive it. `job` and so on describe the run.
  Checkpointer(const v1::JobData& job, uint64_t generation, uint32_t world_size,
               const ParameterTable* table, RunClient* client, TrainerMetrics* metrics);
  // Waits for the writer; cancel the client before, unless it is to finish.
  ~Checkpointer();

  // Of an evaluation; they go into every later checkpoint, until there are newer ones.
  void SetScores(uint64_t step, const v1::Scores& scores);

  // After every applied step: whether a checkpoint is due and the writer is free.
  bool IsDue(uint64_t step);
  // Then: copies `state` and returns while it is written.
  void Begin(uint64_t step, const ModelState& state);

  // Returns once the state after `step` is recorded, tried several times.
  absl::Status WriteNow(uint64_t step, const ModelState& state);

 private:
  absl::Status WriteAndCommit(const CheckpointInfo& info, const ModelState& state);
  void Fail(uint64_t step, const absl::Status& status);
  void RemoveOldLeftovers();
  void JoinWriter();

  const ParameterTable* const table_;
  RunClient* const client_;
  TrainerMetrics* const metrics_;

  // Of the next checkpoint, but for its step.
  CheckpointInfo info_;
  std::unique_ptr<ModelState> copy_;
  std::thread writer_;
  bool leftovers_removed_ = false;

  std::mutex mutex_;
  // Guarded by mutex_.
  bool writing_ = false;
  bool failed_ = false;
  bool due_ = false;
  uint64_t retry_at_ = 0;
  uint64_t recorded_step_ = 0;
};

}  // namespace navit

#endif  // NAVIT_WORKER_CHECKPOINTER_H_
