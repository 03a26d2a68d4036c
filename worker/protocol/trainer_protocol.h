// The trainer's side of the generation protocol (DESIGN.md, section 4), as a state machine without
// threads, clock or network.
//
// The protocol, from here:
//   1. A directive PREPARE g arrives. If a run of an older generation is under way, todo() becomes
//      kStopRun: the trainer aborts its communicator and leaves the run. Only when OnRunEnded says
//      that it has left does State() become JOINED g: from then on no step of an older generation
//      can be applied here, so `applied_step` is a promise.
//   2. A directive RUN g arrives: todo() becomes kStartRun with run(). The trainer calls
//   OnRunStarted,
//      meets the other ranks, and gets the job's state: the source rank broadcasts it, or all ranks
//      load the checkpoint or fresh weights. OnLoading before the first byte of the weights may
//      change, OnLoaded once they are whole.
//   3. Per step s: MayStartStep(s) → forward, backward, all-reduce. When this rank has seen the
//   last
//      bucket of s complete and before anything aborted: MayApply(s); if true, apply the update and
//      call OnStepApplied with the report. No lock need be held between the two calls: the answer
//      to MayApply stands until OnRunEnded.
//   4. The run ends (broken, stopped after stop_after_step, or the job's end): OnRunEnded.
// Weights survive between runs; only kDropState (another job, or released) ends them.
//
// Reports of applied steps are kept until acknowledged or known durable, by every rank, so that a
// step that is adopted later has its record.
#ifndef NAVIT_WORKER_PROTOCOL_TRAINER_PROTOCOL_H_
#define NAVIT_WORKER_PROTOCOL_TRAINER_PROTOCOL_H_

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "proto/fleet.pb.h"

namespace navit {

// Thread-compatible: the owner (heartbeat thread and step loop) serialises calls with one mutex and
// sends State() after every call that changed it.
class TrainerProtocol {
 public:
  struct Options {
    // A rank with this many unacknowledged reports starts no further step (the coordinator is
    // away).
    size_t max_unacknowledged = 1024;
    // Tests only: JOINED is said while the old run still goes on.
    bool broken_promise = false;
  };

  // What the trainer is to do now. Level-triggered: stays until done.
  enum class Todo {
    kNothing,
    // Abort the communicator, leave the run, call OnRunEnded.
    kStopRun,
    // Start the run that run() describes, call OnRunStarted.
    kStartRun,
    // Free job and weights, call OnStateDropped.
    kDropState,
    // This process is fenced: exit.
    kExit,
  };

  // One generation as this rank lives it.
  struct Run {
    v1::JobData job;
    uint64_t generation = 0;
    uint32_t rank = 0;
    // Worker names by rank.
    std::vector<std::string> members;
    // Steps that the job's weights contain when the run starts.
    uint64_t committed_step = 0;
    // Rank that broadcasts the weights; -1: all load `checkpoint`, or fresh weights if it is empty.
    int source_rank = -1;
    std::string checkpoint;
  };

  enum class RunEnd {
    // Anything that ended the run too early. `failure` says what, for people.
    kBroken,
    // As kBroken, and repeating cannot help.
    kFatal,
    // Stopped after stop_after_step(), or the job has no more steps; what the trainer had to do
    // there (evaluation, checkpoint) is done and acknowledged.
    kStopped,
  };

  TrainerProtocol() : TrainerProtocol(Options{}) {}
  explicit TrainerProtocol(Options options) : options_(options) {}

  // Older directives than the newest seen (by coordinator incarnation, then version) are ignored.
  void OnDirective(const v1::Directive& directive);
  Todo todo() const;
  // The run to start, or under way. Valid after the first kStartRun.
  const Run& run() const { return run_; }

  void OnRunStarted();
  // The weights are about to be overwritten. From here to OnLoaded this trainer has no state. Not
  // called by the source rank, whose state is the job's already.
  void OnLoading();
  // The weights now hold `applied_step` steps; must be run().committed_step. Called by every rank,
  // the source rank after its broadcast.
  void OnLoaded(uint64_t applied_step);
  // Whether to begin work on the next step. False: stop_after_step() is reached, the run is to end,
  // or too many reports are unacknowledged; ask again after the next directive or acknowledgement.
  bool MayStartStep(uint64_t step) const;
  // Whether the update of `step` may be applied: the run goes on and `step` is the next one.
  bool MayApply(uint64_t step) const;
  void OnStepApplied(const v1::StepReport& report);
  // 0: none. Steps beyond it are not started; when applied_step has reached it the trainer stops:
  // rank 0 writes a checkpoint if checkpoint_on_stop, then OnRunEnded(kStopped).
  uint64_t stop_after_step() const { return stop_after_step_; }
  bool checkpoint_on_stop() const { return checkpoint_on_stop_; }
  bool ShouldStop() const;
  void OnRunEnded(RunEnd end, const std::string& failure);
  void OnStateDropped();

  // Rank 0, after ReportSteps returned OK: steps up to `step` are durable.
  void OnReportsAcknowledged(uint64_t generation, uint64_t step);
  // Reports that rank 0 is to send, oldest first.
  const std::deque<v1::StepReport>& unacknowledged() const { return unacknowledged_; }

  // What the next WorkerReport says. step, phase and seconds_in_phase are the trainer's to fill in.
  v1::TrainerState State() const;
  uint64_t applied_step() const { return applied_step_; }
  bool has_state() const { return has_state_; }

 private:
  // Whether `job` is the job of this trainer's weights or promise.
  bool SameJob(const v1::JobData& job) const;
  // Whether the newest directive is to run what runs here.
  bool RunIsWanted() const;
  // Joins the wanted generation if nothing of an older one goes on here.
  void MaybeJoin();
  // A rank that learns of stop_after_step only after its peers stopped there, and broke on their
  // absence, has stopped.
  void MaybeStopped();
  void ForgetReports(uint64_t up_to_step);

  Options options_;
  // Newest directive seen.
  uint64_t coordinator_incarnation_ = 0;
  uint64_t directive_version_ = 0;
  v1::TrainerDirective wanted_;
  bool fenced_ = false;

  v1::TrainerState::Kind kind_ = v1::TrainerState::IDLE;
  // The job of the weights or of the promise; empty when IDLE.
  std::string job_;
  uint64_t job_uid_ = 0;
  uint64_t generation_ = 0;
  bool in_run_ = false;
  Run run_;
  uint64_t stop_after_step_ = 0;
  bool checkpoint_on_stop_ = false;

  bool has_state_ = false;
  bool loaded_ = false;
  uint64_t applied_step_ = 0;
  uint64_t state_generation_ = 0;
  std::string failure_;
  bool fatal_ = false;
  std::deque<v1::StepReport> unacknowledged_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_PROTOCOL_TRAINER_PROTOCOL_H_
