// The coordinator's protocol: jobs, gangs, leases, ordinals, generations and the relay's ledger, as
// plain deterministic code. Time, storage and the network are arguments; nothing here blocks except
// EventStore::Append. The gRPC services decode, call one method under one mutex, and map the
// result.
//
// State changes in one way: validate → store (EventStore::Append) → apply (JobState::Apply) → act.
// A method that changes durable state returns only once the change is durable. When Append fails
// (but for an event that is too large, which is refused), every later call returns UNAVAILABLE
// (healthy() is false): the process must end and start again.
//
// How callers wait: a method that has nothing yet says so at once (an empty Work, kWait, nullopt).
// revision() grows with every change that could alter such an answer or a directive: wait until it
// differs from what was read before the call, then ask again. Call Tick about ten times a second.
//
// Life of a training job here:
//   1. Submit stores the spec: QUEUED. With a live packer it goes on to INDEXING: ExpandShards is
//      leased to one packer, then IndexShard per shard to all; the list is frozen
//      (ManifestFrozen) and the job is STARTING: it waits for its gang (scheduler.h).
//   2. The gang gets PREPARE g. When all ranks report JOINED g, GenerationOpened is stored and
//      RUN g goes out: RUNNING. A rank that breaks, is lost or does not join in time: RECOVERING,
//      PREPARE g + 1. Survivors keep their ranks, free trainers fill the holes.
//   3. Windows are leased to packers (window_plans.h); a group whose K plans are in gets ordinals
//      (GroupPlanned); packs are granted lowest ordinal first within the memory budget
//      (relay_ledger.h); a step whose packs are all present is dealt to ranks (deal.h).
//   4. Rank 0 reports steps (StepsCommitted) and checkpoints. After the last step the ranks
//      evaluate, rank 0 commits the last checkpoint, all report STOPPED: SUCCEEDED.
#ifndef NAVIT_SERVER_CORE_COORDINATOR_H_
#define NAVIT_SERVER_CORE_COORDINATOR_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proto/batches.pb.h"
#include "proto/fleet.pb.h"
#include "proto/jobs.pb.h"
#include "server/core/durations.h"
#include "server/core/end_cause.h"
#include "server/core/event_store.h"
#include "server/core/instant.h"

namespace navit {

struct CoordinatorOptions {
  // What RegisterReply tells workers.
  double heartbeat_interval_seconds = 0.5;
  // A worker without a report for this long is lost. A trainer or packer of a job is judged by the
  // job's timeouts.heartbeat_seconds instead; a packer of several jobs, by the longest.
  double heartbeat_timeout_seconds = 5;
  // From PREPARE to JOINED, from RUN to RUNNING: a rank that takes longer leaves the gang. Must
  // exceed the time that an aborted collective takes to return.
  double join_timeout_seconds = 60;
  // A gang between its minimum and its maximum waits this long for more members.
  double gang_settle_seconds = 2;
  // A job that waited this long for its gang lets no later job start before it (scheduler.h).
  double backfill_seconds = 300;
  // Packs are granted at most this many steps ahead of the oldest uncommitted step.
  uint64_t lookahead_steps = 8;
  // Packs that one packer may have been granted and not delivered. It gets more once it has
  // delivered half of them.
  uint32_t max_grants_per_packer = 32;
  // A packer that owes packs is late when it has delivered none for this many times the median time
  // between two packs of a packer of the job, and no less than the seconds: its windows are leased
  // a second time, the first copy of a pack wins. So is one that has no stream for packs for the
  // seconds.
  double hedge_factor = 4;
  double hedge_seconds = 5;
  // A piece of work that fails this many times without a fatal failure fails its job.
  uint32_t max_work_failures = 5;
  // Jobs with `delivery: auto` change to direct delivery once more bytes than this come through the
  // relay in a second, over all jobs.
  double direct_above_bytes_per_second = 1e9;
  // Packs of one evaluation that one rank may have on the way.
  uint32_t max_evaluation_packs_per_rank = 4;
  // Called with one line for people whenever something of note is decided; `job` is the one that it
  // is about, or empty.
  std::function<void(absl::string_view job, absl::string_view line)> log;

  // Protocol rules taken out, to show that the simulator notices. Tests only.
  struct BrokenRules {
    bool ignore_applied_step = false;
    bool accept_stale_leases = false;
    bool accept_stale_generations = false;
  };
  BrokenRules broken_rules;
};

// Names a pack of the relay.
struct PackKey {
  std::string job;
  // JobData.job_uid: a job of the same name submitted later has other packs.
  uint64_t job_uid = 0;
  v1::Split split = v1::SPLIT_TRAIN;
  uint64_t window = 0;
  uint32_t index = 0;

  friend bool operator==(const PackKey& a, const PackKey& b) {
    return std::tie(a.job, a.job_uid, a.split, a.window, a.index) ==
           std::tie(b.job, b.job_uid, b.split, b.window, b.index);
  }
  friend bool operator<(const PackKey& a, const PackKey& b) {
    return std::tie(a.job, a.job_uid, a.split, a.window, a.index) <
           std::tie(b.job, b.job_uid, b.split, b.window, b.index);
  }
  template <typename H>
  friend H AbslHashValue(H h, const PackKey& k) {
    return H::combine(std::move(h), k.job, k.job_uid, k.split, k.window, k.index);
  }
};

// What to do with the bytes of a pack that arrived.
struct PackVerdict {
  // Keep the bytes under `key` until they are named by TakeDropped (or handed to an evaluation).
  // False: a duplicate, or evicted meanwhile; drop them.
  bool keep = false;
  PackKey key;
};

// The next step for one rank.
struct StepForRank {
  enum Kind {
    kWait,   // Not all packs of the step exist yet, or the step is too far ahead.
    kReady,  // `deal` and `packs` are set; all packs named are held by the relay now.
    kEnd,    // The job has no such step.
  };
  Kind kind = kWait;
  v1::StepDeal deal;
  // This rank's packs in the deal's order. Take references to their bytes before the next call into
  // the coordinator: it may evict them.
  std::vector<PackKey> packs;
  // Of their frames, with payloads that stay with packers.
  uint64_t bytes = 0;
};

// The next pack of an evaluation for one rank.
struct EvaluationPack {
  enum Kind { kWait, kReady, kEnd };
  Kind kind = kWait;
  PackKey key;
};

// Cumulative counts since the start of this process; for metrics.
struct CoordinatorCounters {
  uint64_t jobs_submitted = 0;
  std::map<EndCause, uint64_t> jobs_finished;
  uint64_t leases_granted = 0;
  uint64_t leases_expired = 0;
  // By kind: "lease" (work or packs under a void lease), "generation", "incarnation".
  std::map<std::string, uint64_t> stale_writes_rejected;
  // By (role, reason): reason is "heartbeat", "replaced" or "join".
  std::map<std::pair<v1::Role, std::string>, uint64_t> workers_lost;
  uint64_t generations_opened = 0;
  uint64_t steps_committed = 0;
  uint64_t steps_rolled_back = 0;
  uint64_t packs_received = 0;
  uint64_t packs_evicted = 0;
  uint64_t packs_duplicate = 0;
  uint64_t packs_hedged = 0;
  // Packs that stayed with packers, and packers whose packs a trainer could not fetch.
  uint64_t packs_direct = 0;
  uint64_t direct_fallbacks = 0;
  // From submission to the first generation, and to the first committed step.
  Durations queue_wait;
  Durations time_to_first_step;
};

// State of this moment; for metrics.
struct CoordinatorGauges {
  std::map<v1::JobState, uint64_t> jobs;
  // By (role, state): "idle", "busy", "draining", "lost".
  std::map<std::pair<v1::Role, std::string>, uint64_t> workers;
  // By "indexing", "planning", "window", "evaluation", "audit", "probe".
  std::map<std::string, uint64_t> leases;
  struct JobRelay {
    uint64_t present_bytes = 0;
    uint64_t present_packs = 0;
    uint64_t granted_packs = 0;
    uint64_t budget_bytes = 0;
  };
  std::map<std::string, JobRelay> relay;
  // By job: share of the places that its plans fill, of jobs that have plans.
  std::map<std::string, double> planned_fill;
};

// Thread-compatible: the owner serialises all calls. Requests are checked as input from outside:
// any message is safe to pass.
class Coordinator {
 public:
  // `store` must outlive the coordinator.
  Coordinator(CoordinatorOptions options, EventStore* store);
  ~Coordinator();
  Coordinator(const Coordinator&) = delete;
  Coordinator& operator=(const Coordinator&) = delete;

  // Replays the store and durably opens a new incarnation. Must return OK before any other call.
  // DATA_LOSS: an event does not fit the state that the events before it made.
  absl::Status Start(Instant now);
  // False after a failed Append: end the process.
  bool healthy() const;
  uint64_t incarnation() const;
  // See "How callers wait" above.
  uint64_t revision() const;
  // Time-outs, scheduling, and everything that follows from them.
  void Tick(Instant now);

  // --- Jobs. Status codes as in jobs.proto. A repeated request_id gets the job as it is now.

  // The spec must be resolved and valid (common/job_spec). What needs the coordinator is checked
  // here: ALREADY_EXISTS; INVALID_ARGUMENT when budgets.relay_bytes cannot hold two steps, or the
  // spec is larger than the store takes.
  absl::StatusOr<v1::Job> Submit(const v1::SubmitRequest& request, Instant now);
  absl::StatusOr<v1::Job> Get(absl::string_view name) const;
  v1::ListReply List() const;
  // Grows with every change of this job that Get shows, for Watch. 0: no such job.
  uint64_t JobRevision(absl::string_view name) const;
  absl::StatusOr<v1::Job> Cancel(const v1::JobMutation& request, Instant now);
  absl::StatusOr<v1::Job> Pause(const v1::JobMutation& request, Instant now);
  absl::StatusOr<v1::Job> Resume(const v1::JobMutation& request, Instant now);
  absl::StatusOr<v1::Job> Retry(const v1::JobMutation& request, Instant now);
  // `spec`: the job's spec with the request's assignments, resolved and valid (UpdateSpec).
  absl::StatusOr<v1::Job> Update(const v1::UpdateRequest& request, const v1::JobSpec& spec,
                                 Instant now);
  absl::Status Delete(const v1::JobMutation& request, Instant now);
  absl::StatusOr<v1::ExplainReply> Explain(absl::string_view name, Instant now) const;
  absl::StatusOr<v1::ListCheckpointsReply> ListCheckpoints(absl::string_view name) const;
  absl::StatusOr<v1::HistoryReply> History(const v1::HistoryRequest& request) const;
  // The committed steps in at most `points` points.
  absl::StatusOr<v1::Curve> JobCurve(absl::string_view name, size_t points) const;
  v1::ListWorkersReply ListWorkers(Instant now) const;
  // Audit in two calls: StartAudit leases the windows to packers; AuditResult is nullopt until they
  // are back. DropAudit when the caller has gone; a result is dropped by being returned.
  absl::StatusOr<uint64_t> StartAudit(const v1::AuditRequest& request, Instant now);
  std::optional<absl::StatusOr<v1::AuditReply>> AuditResult(uint64_t audit);
  void DropAudit(uint64_t audit);
  // A preview or a forecast likewise; the spec must be resolved and valid. RESOURCE_EXHAUSTED: too
  // many are under way. The result: INVALID_ARGUMENT what a packer found wrong with the spec or its
  // data, UNAVAILABLE what it could not read, or that the last packer has gone.
  absl::StatusOr<uint64_t> StartPreview(const v1::PreviewRequest& request);
  absl::StatusOr<uint64_t> StartForecast(const v1::JobSpec& spec);
  std::optional<absl::StatusOr<v1::ProbeResult>> ProbeResult(uint64_t probe);
  void DropProbe(uint64_t probe);

  // --- Fleet. Status codes as in fleet.proto.

  absl::StatusOr<v1::RegisterReply> Register(const v1::RegisterRequest& request, Instant now);
  // See Jobs.Drain and Jobs.Undrain.
  absl::Status SetDrained(const std::string& name, bool drained, Instant now);
  // One message of a Heartbeat stream.
  absl::Status OnReport(const v1::WorkerReport& report, Instant now);
  // The current truth for `worker`; `version` grows when anything but durable_step changed. Send it
  // when the version is new and every heartbeat interval. NOT_FOUND: not registered.
  // For a fenced incarnation: a directive with `fenced`.
  absl::StatusOr<v1::Directive> DirectiveFor(const v1::WorkerId& worker, Instant now);
  // An empty Work: nothing now. `now` of a grant starts the coordinator's TTL.
  absl::StatusOr<v1::Work> LeaseWork(const v1::WorkerId& worker, Instant now);
  absl::Status FinishWork(const v1::FinishWorkRequest& request, Instant now);
  // NOT_FOUND: unknown hash.
  absl::StatusOr<std::shared_ptr<const v1::DataManifest>> GetManifest(absl::string_view hash) const;
  // OK when `worker` is a member of the job's current, open generation; else FAILED_PRECONDITION
  // (or UNAUTHENTICATED, NOT_FOUND). For every call that names a generation.
  absl::Status CheckMember(const v1::WorkerId& worker, absl::string_view job, uint64_t generation);
  absl::Status KvSet(const v1::KvSetRequest& request, Instant now);
  // nullopt: a key is missing, named in *missing; wait for revision().
  absl::StatusOr<std::optional<v1::KvGetReply>> KvGet(const v1::KvGetRequest& request,
                                                      std::string* missing);
  // Steps must follow the committed ones without a gap; steps that are recorded already must be
  // equal (ABORTED: the ranks' report differs from the record) and are otherwise ignored.
  // OUT_OF_RANGE: a gap, names the step expected.
  absl::Status ReportSteps(const v1::ReportStepsRequest& request, Instant now);
  // UNAVAILABLE: the checkpoint's step is not recorded yet; report the steps, then repeat.
  absl::StatusOr<v1::CommitCheckpointReply> CommitCheckpoint(
      const v1::CommitCheckpointRequest& request, Instant now);
  absl::Status ReportEvent(const v1::ReportEventRequest& request, Instant now);

  // --- Batches, packers' side. One Push stream per packer counts: the newest.

  // A Push stream opened: everything wanted of this packer will be granted on it anew. Returns the
  // stream's number for the calls below, which answer ABORTED on an older stream.
  absl::StatusOr<uint64_t> OpenPush(const v1::WorkerId& worker, Instant now);
  void ClosePush(const v1::WorkerId& worker, uint64_t stream);
  // Grants and releases that this stream has not been sent yet; empty: none now.
  absl::StatusOr<v1::PushReply> NextGrants(const v1::WorkerId& worker, uint64_t stream,
                                           Instant now);
  // A pack arrived. `frame_bytes`: what keeping it costs. Errors: FAILED_PRECONDITION (void lease,
  // counted; drop the frame and go on), INVALID_ARGUMENT (not a pack of the lease, over the size
  // that the spec allows), DATA_LOSS (other bytes than an earlier copy of the same pack: the job
  // fails).
  // `direct`: the payload stays with the packer, for trainers to fetch.
  absl::StatusOr<PackVerdict> OnPack(const v1::WorkerId& worker, const v1::PackHeader& header,
                                     uint64_t frame_bytes, Instant now, bool direct = false);
  // Packs whose bytes are to be dropped now: committed, evicted, or of a job that ended. Call it
  // after every other call that takes `now` and before storing the bytes of a kept pack.
  std::vector<PackKey> TakeDropped();

  // --- Batches, trainers' side.

  // FAILED_PRECONDITION: not a member of the current generation, or not with this rank.
  absl::Status CheckPull(const v1::PullRequest::Open& open);
  // A Pull stream opened, with what its trainer can do and could not do. Errors as CheckPull.
  absl::Status OpenPull(const v1::PullRequest::Open& open, Instant now);
  // Step `step` for `rank`. Errors as CheckPull once the generation is over.
  absl::StatusOr<StepForRank> NextStep(absl::string_view job, uint64_t generation, uint32_t rank,
                                       uint64_t step);
  // Evaluation: packs of `split`, counted over (window, index), whose place is congruent to rank
  // modulo world_size. Open, then repeat NextEvaluationPack until kEnd: after kReady send the
  // bytes, then call EvaluationPackSent, which drops them. Close when the stream ends, however it
  // ends.
  absl::StatusOr<uint64_t> OpenEvaluation(const v1::PullEvaluationRequest& request, Instant now);
  absl::StatusOr<EvaluationPack> NextEvaluationPack(uint64_t evaluation);
  void EvaluationPackSent(uint64_t evaluation, const PackKey& key);
  void CloseEvaluation(uint64_t evaluation);

  const CoordinatorCounters& counters() const;
  CoordinatorGauges gauges(Instant now) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace navit

#endif  // NAVIT_SERVER_CORE_COORDINATOR_H_
