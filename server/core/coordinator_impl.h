// Inside of the coordinator: all its state, and the decisions grouped by file:
//   coordinator.cc          start, storing events, ticks, the public face
//   coordinator_workers.cc  registration, reports and directives of workers
//   coordinator_jobs.cc     what people ask for
//   coordinator_report.cc   what people see
//   coordinator_gang.cc     gangs and generations
//   coordinator_members.cc  what members of a generation say
//   coordinator_work.cc     leases and their results: indexing, planning
//   coordinator_packers.cc  which packers work for a job
//   coordinator_packs.cc    grants, packs, deals
//   coordinator_hedge.cc    second leases beside packers that are late
//   coordinator_direct.cc   packs that trainers fetch from packers
//   coordinator_evaluation.cc, coordinator_audit.cc, coordinator_probe.cc
#ifndef NAVIT_SERVER_CORE_COORDINATOR_IMPL_H_
#define NAVIT_SERVER_CORE_COORDINATOR_IMPL_H_

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "server/core/audit.h"
#include "server/core/coordinator.h"
#include "server/core/durable_state.h"
#include "server/core/indexing.h"
#include "server/core/leases.h"
#include "server/core/relay_ledger.h"
#include "server/core/worker_table.h"

namespace navit {

// What of a job lives in memory only, and starts empty after a restart.
struct JobRuntime {
  // --- Gang. A rank's place, or a hole. `open`: generation state.generation() is open and whole,
  // and the slots are its members; else the slots gather for generation state.generation() + 1.
  struct Slot {
    Member member;
    // When the member was asked to join.
    double asked = 0;
  };
  std::vector<std::optional<Slot>> slots;
  bool open = false;
  // Steady times: since when the job waits for a gang; the slots' last change; the opening.
  double waiting_since = 0;
  double slots_changed = 0;
  double opened_at = 0;
  // Up to when its trainers' time is in JobState::held_seconds.
  double held_until = 0;
  // What the scheduler or the gang waits for, in words.
  std::string wait_reason;

  // kReopen: without a member that drains, or with a changed spec.
  enum class StopPurpose { kNone, kPause, kReopen };
  StopPurpose stop_purpose = StopPurpose::kNone;
  uint64_t stop_after_step = 0;
  uint64_t stop_margin = 2;

  // Checkpoints that a trainer found damaged; never loaded again.
  std::set<std::string> bad_checkpoints;

  // Rendezvous keys of the open generation.
  std::map<std::string, std::string> kv;

  // --- Data.
  Indexing indexing;
  struct Failures {
    uint32_t count = 0;
    std::string last_worker;
  };
  std::map<WorkItem, Failures> failures;
  // Plans of windows whose group is not complete yet.
  std::map<uint64_t, v1::WindowPlan> plans;
  // Image tokens and places of all training windows whose plans arrived; for metrics.
  uint64_t planned_tokens = 0;
  uint64_t planned_capacity = 0;
  // The packers that have a place with the job, and when each last asked for its work.
  std::map<std::string, double> packers;
  // Since when a window waits for a packer; negative: none does.
  double window_waits_since = -1;
  std::unique_ptr<RelayLedger> ledger;
  bool grants_stale = true;
  // Times between two packs of a packer that owed them, the newest at the back.
  std::deque<double> pack_intervals;
  // Direct delivery, anew in each generation: chosen for an `auto` job, given up because a trainer
  // cannot, or for the packers at these addresses because a trainer did not reach them.
  struct Direct {
    bool chosen = false;
    bool given_up = false;
    std::set<std::string> unreachable;
  };
  Direct direct;
  // Packs of the windows of evaluation splits.
  std::map<std::pair<v1::Split, uint64_t>, uint32_t> evaluation_plans;

  uint64_t revision = 1;

  uint32_t filled() const {
    uint32_t n = 0;
    for (const auto& slot : slots) n += slot.has_value() ? 1 : 0;
    return n;
  }
};

// One PullEvaluation stream.
struct Evaluation {
  std::string job;
  uint64_t generation = 0;
  uint32_t rank = 0;
  uint32_t world_size = 1;
  v1::Split split = v1::SPLIT_VALIDATION;
  uint64_t windows = 0;
  // The next pack to hand out: its place over all packs of the split, and where that is.
  uint64_t place = 0;
  PackPlace next;
  // Packs on the way: granted under a lease, and whether they are here.
  struct Wanted {
    uint64_t lease = 0;
    // The lease under which it was granted before it was hedged; 0: it is not.
    uint64_t late_lease = 0;
    bool present = false;
  };
  std::map<std::pair<uint64_t, uint32_t>, Wanted> wanted;
};

class Coordinator::Impl {
 public:
  Impl(CoordinatorOptions options, EventStore* store)
      : options_(std::move(options)), store_(store) {}

  // --- coordinator.cc
  absl::Status Start(Instant now);
  void Tick(Instant now);
  // Stores, then applies. INVALID_ARGUMENT: the store does not take such an event, nothing has
  // changed. After any other error nothing may be stored any more.
  absl::Status Commit(v1::Event event, Instant now);
  absl::Status CheckHealthy() const;
  // `job`: the one that the line is about; empty: none.
  void Log(absl::string_view job, absl::string_view line) const {
    if (options_.log) options_.log(job, line);
  }
  // Something that a waiting caller may want to see has changed.
  void Changed() { ++revision_; }
  void Changed(const std::string& job) {
    ++revision_;
    ++runtimes_[job].revision;
  }

  // --- coordinator_workers.cc
  absl::StatusOr<v1::RegisterReply> Register(const v1::RegisterRequest& request, Instant now);
  absl::Status SetDrained(const std::string& name, bool drained, Instant now);
  absl::Status OnReport(const v1::WorkerReport& report, Instant now);
  absl::StatusOr<v1::Directive> DirectiveFor(const v1::WorkerId& worker);
  absl::Status CheckWorker(const v1::WorkerId& worker, WorkerEntry** entry);
  // Seconds without a report after which the worker is lost.
  double MostSilence(const WorkerEntry& worker) const;
  void Lose(WorkerEntry& worker, const std::string& reason);

  // --- coordinator_jobs.cc
  absl::StatusOr<v1::Job> Submit(const v1::SubmitRequest& request, Instant now);
  absl::StatusOr<v1::Job> Cancel(const v1::JobMutation& request, Instant now);
  absl::StatusOr<v1::Job> Pause(const v1::JobMutation& request, Instant now);
  absl::StatusOr<v1::Job> Resume(const v1::JobMutation& request, Instant now);
  absl::StatusOr<v1::Job> Retry(const v1::JobMutation& request, Instant now);
  absl::StatusOr<v1::Job> Update(const v1::UpdateRequest& request, const v1::JobSpec& spec,
                                 Instant now);
  absl::Status Delete(const v1::JobMutation& request, Instant now);
  absl::Status SetState(const std::string& job, v1::JobState state, const std::string& reason,
                        const std::string& request_id, Instant now);
  // Ends the job and lets its workers go.
  void EndJob(const std::string& job, EndCause cause, const std::string& reason, Instant now);
  // Lets its workers go until it is resumed.
  void PauseJob(const std::string& job, const std::string& reason, Instant now);
  // Workers, leases, packs and plans of the job are dropped.
  void LetGo(const std::string& job);

  // --- coordinator_report.cc
  absl::StatusOr<v1::Job> Get(absl::string_view name) const;
  v1::Job Describe(const JobState& job) const;
  v1::ListReply List() const;
  absl::StatusOr<v1::ExplainReply> Explain(absl::string_view name, Instant now) const;
  // Who owes the missing packs of the oldest uncommitted step, in words; empty: none is missing.
  std::string MissingPacks(const JobState& job) const;
  absl::StatusOr<v1::ListCheckpointsReply> ListCheckpoints(absl::string_view name) const;
  absl::StatusOr<v1::HistoryReply> History(const v1::HistoryRequest& request) const;
  absl::StatusOr<v1::Curve> JobCurve(absl::string_view name, size_t points) const;
  v1::ListWorkersReply ListWorkers(Instant now) const;
  CoordinatorGauges Gauges() const;

  // --- coordinator_gang.cc
  // All that time or a report may have made possible for one job.
  void Advance(const std::string& job, Instant now);
  // Gives free trainers to jobs that wait (scheduler.h).
  void PlaceGangs(Instant now);
  void PlaceGangs(v1::TrainersSpec::Device device, Instant now);
  void PruneSlots(const JobState& job, Instant now);
  void FillSlots(const JobState& job, uint32_t take, Instant now);
  void TryOpen(const JobState& job, Instant now);
  void Open(const JobState& job, Instant now);
  void Break(const JobState& job, const std::string& reason, Instant now);
  void FreeSlot(JobRuntime& runtime, size_t rank, Instant now);
  std::vector<WorkerEntry*> FreeTrainers(v1::TrainersSpec::Device device);
  bool GangWanted(const JobState& job) const;

  // --- coordinator_members.cc
  void WatchGeneration(const JobState& job, Instant now);
  void SetStop(const JobState& job, JobRuntime::StopPurpose purpose);
  absl::Status CheckMember(const v1::WorkerId& worker, absl::string_view job, uint64_t generation,
                           const JobState** state, uint32_t* rank);
  absl::Status KvSet(const v1::KvSetRequest& request);
  absl::StatusOr<std::optional<v1::KvGetReply>> KvGet(const v1::KvGetRequest& request,
                                                      std::string* missing);
  absl::Status ReportSteps(const v1::ReportStepsRequest& request, Instant now);
  absl::StatusOr<v1::CommitCheckpointReply> CommitCheckpoint(
      const v1::CommitCheckpointRequest& request, Instant now);
  absl::Status ReportEvent(const v1::ReportEventRequest& request, Instant now);
  // Fails a job that has used up what it may.
  void CheckBudgets(const JobState& job, Instant now);
  absl::Status CheckDigest(const JobState& job, const v1::StepReport& report);

  // --- coordinator_work.cc
  absl::StatusOr<v1::Work> LeaseWork(const v1::WorkerId& worker, Instant now);
  absl::Status FinishWork(const v1::FinishWorkRequest& request, Instant now);
  std::optional<WorkItem> NextItem(const JobState& job, const WorkerEntry& worker, Instant now);
  std::vector<uint64_t> NeededWindows(const JobState& job) const;
  void FillWork(const JobState& job, const WorkItem& item, v1::Work* work) const;
  void WorkFailed(const Lease& lease, const std::string& worker, const v1::WorkFailure& failure,
                  Instant now);
  absl::Status OnPlan(Lease& lease, const v1::WindowPlan& plan, Instant now);
  void PlanGroups(const std::string& job, Instant now);
  void ReleaseLease(uint64_t epoch);
  std::vector<const JobState*> JobsInOrder() const;
  // Ordinals wanted now: [first uncommitted, end).
  uint64_t Horizon(const JobState& job) const;

  // --- coordinator_packers.cc
  // Packers that are there and do not drain.
  size_t ReadyPackers() const;
  // The packer asks for work, and it is the job's turn. Places of packers that are gone become
  // free.
  void NoteAsking(const JobState& job, const WorkerEntry& worker, Instant now);
  // A packer that loses its place when another one asks.
  std::optional<std::string> GivesPlace(const JobState& job, Instant now) const;
  // Whether the packer has a place with the job, or would get one with a window.
  bool HasPlace(const JobState& job, const WorkerEntry& worker, Instant now) const;
  // Gives a place to the packer that is about to get `item`, a window that it may lease.
  void TakePlace(const WorkItem& item, const WorkerEntry& worker, Instant now);
  // `place`: HasPlace, or true for what any packer may have.
  bool MayLease(const JobRuntime& runtime, const WorkItem& item, const WorkerEntry& worker,
                bool place) const;

  // --- coordinator_packs.cc
  absl::StatusOr<uint64_t> OpenPush(const v1::WorkerId& worker);
  void ClosePush(const v1::WorkerId& worker, uint64_t stream);
  void StopPush(WorkerEntry& worker);
  absl::StatusOr<v1::PushReply> NextGrants(const v1::WorkerId& worker, uint64_t stream,
                                           Instant now);
  // `asking`: the packer that is answered with what it is granted.
  void MakeGrants(const JobState& job, const WorkerEntry& asking, Instant now);
  absl::StatusOr<PackVerdict> OnPack(const v1::WorkerId& worker, const v1::PackHeader& header,
                                     uint64_t frame_bytes, Instant now, bool direct);
  absl::StatusOr<PackVerdict> TakePack(const v1::WorkerId& worker, const v1::PackHeader& header,
                                       uint64_t frame_bytes, Instant now, bool direct);
  // The ledger and the window leases follow the committed step.
  void FollowCommit(const JobState& job);
  absl::Status CheckPull(const v1::PullRequest::Open& open);
  absl::StatusOr<StepForRank> NextStep(absl::string_view job, uint64_t generation, uint32_t rank,
                                       uint64_t step);

  // --- coordinator_hedge.cc
  // The packer delivered a pack of the job.
  void Delivered(JobRuntime& runtime, WorkerEntry& worker, Instant now);
  // Packs that the packer was granted and that are not here.
  size_t Owed(const std::string& worker) const;
  bool Late(const JobRuntime& runtime, const Lease& lease, Instant now) const;
  // The windows with a late first lease, in order.
  std::vector<uint64_t> LateWindows(const JobState& job, Instant now) const;
  // What `worker` may lease beside the late first lease on `item`, a window of either kind.
  std::optional<WorkItem> SecondOf(WorkItem item, const WorkerEntry& worker, bool place,
                                   Instant now) const;
  // Grants the late packs to second leases. Whether there were any.
  bool HedgeGrants(const JobState& job, Instant now);

  // --- coordinator_direct.cc
  // Whether packs of the job that `holder` makes may stay with it.
  bool MayStay(const JobState& job, const WorkerEntry& holder) const;
  absl::Status OpenPull(const v1::PullRequest::Open& open, Instant now);
  // Packs of the lease that stay with its holder are missing again.
  void ForgetDirect(const JobState& job, uint64_t lease);
  // Tells packers which payloads nobody will fetch any more.
  void DropAtPackers(const JobState& job, RelayLedger* ledger);
  // So many bytes came through the relay; chooses direct delivery when they are too many a second.
  void CountRelayed(uint64_t bytes, Instant now);

  PackKey KeyOf(const JobState& job, uint64_t ordinal) const;
  void DropOrdinals(const JobState& job, const std::vector<uint64_t>& ordinals);

  // --- coordinator_evaluation.cc
  absl::StatusOr<uint64_t> OpenEvaluation(const v1::PullEvaluationRequest& request);
  absl::StatusOr<EvaluationPack> NextEvaluationPack(uint64_t evaluation);
  void EvaluationPackSent(uint64_t evaluation, const PackKey& key);
  void CloseEvaluation(uint64_t evaluation);
  void CloseEvaluations(const std::string& job);
  // Windows of evaluation splits that open evaluations wait for.
  std::vector<std::pair<v1::Split, uint64_t>> NeededEvaluationWindows(const JobState& job) const;
  // The lease on `item` if its packs can be made under it now; nullptr: they cannot.
  const Lease* EvaluationMaker(const WorkItem& item) const;
  void MakeEvaluationGrants(Instant now);
  // Packs granted under `lease` that are not here.
  size_t EvaluationPacksGranted(uint64_t lease) const;
  bool OnEvaluationPack(const JobState& job, const v1::PackHeader& header);
  // Packs granted under `lease` are missing again. Returns how many.
  size_t RevokeEvaluationGrants(uint64_t lease);
  // Moves `next` past windows without packs; false: a window's plan is missing.
  bool Settle(const JobRuntime& runtime, const Evaluation& evaluation, PackPlace* next) const;

  // --- coordinator_audit.cc
  absl::StatusOr<uint64_t> StartAudit(const v1::AuditRequest& request);
  std::optional<absl::StatusOr<v1::AuditReply>> AuditResult(uint64_t audit);
  void DropAudit(uint64_t audit);

  // --- coordinator_probe.cc
  absl::StatusOr<uint64_t> StartPreview(const v1::PreviewRequest& request);
  absl::StatusOr<uint64_t> StartForecast(const v1::JobSpec& spec);
  absl::StatusOr<uint64_t> StartProbe(v1::Probe work);
  std::optional<absl::StatusOr<v1::ProbeResult>> ProbeResult(uint64_t probe);
  void DropProbe(uint64_t probe);
  // False: there is none for this packer.
  bool LeaseProbe(const WorkerEntry& worker, Instant now, v1::Work* work);
  absl::Status FinishProbe(const Lease& lease, const v1::FinishWorkRequest& request);

  CoordinatorOptions options_;
  EventStore* const store_;
  bool healthy_ = false;
  double started_at_ = 0;
  uint64_t revision_ = 1;
  uint64_t next_uid_ = 0;
  uint64_t directive_versions_ = 0;

  DurableState state_;
  WorkerTable workers_;
  LeaseTable leases_;
  // Leases that ended with their result taken: a repeated FinishWork gets the same answer.
  std::deque<uint64_t> finished_leases_;
  std::map<std::string, JobRuntime, std::less<>> runtimes_;
  std::map<uint64_t, Evaluation> evaluations_;
  uint64_t next_evaluation_ = 1;
  std::map<uint64_t, Audit> audits_;
  uint64_t next_audit_ = 1;
  struct Probe {
    v1::Probe work;
    uint32_t leases = 0;
    std::optional<absl::StatusOr<v1::ProbeResult>> result;
  };
  std::map<uint64_t, Probe> probes_;
  uint64_t next_probe_ = 1;
  std::vector<PackKey> dropped_;
  // Bytes that came through the relay since then, over all jobs.
  uint64_t relayed_bytes_ = 0;
  double relayed_since_ = 0;
  CoordinatorCounters counters_;
};

}  // namespace navit

#endif  // NAVIT_SERVER_CORE_COORDINATOR_IMPL_H_
