#include "packer/agent/agent.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/grpc_status.h"
#include "common/log.h"
#include "common/status_macros.h"
#include "common/stop_flag.h"
#include "common/version.h"
#include "common/worker_session.h"
#include "packer/agent/job_table.h"
#include "packer/agent/lease_book.h"
#include "packer/agent/pack_queue.h"
#include "packer/agent/push_stream.h"
#include "packer/telemetry.h"
#include "proto/fleet.grpc.pb.h"

namespace navit {
namespace {

constexpr absl::Duration kTelemetryEvery = absl::Seconds(1);
// A manifest of a million shards takes a while; it is fetched once per job.
constexpr absl::Duration kManifestTimeout = absl::Seconds(60);
// Packs that are read ahead of the one that is made.
constexpr size_t kPacksAhead = 8;
constexpr size_t kMaxJobs = 16;

const std::string& JobOf(const v1::Work& work) {
  switch (work.kind_case()) {
    case v1::Work::kIndexShard:
      return work.index_shard().job();
    case v1::Work::kExpandShards:
      return work.expand_shards().job();
    case v1::Work::kAudit:
      return work.audit().job();
    default:
      return work.window().job();
  }
}

v1::WorkerId IdOf(const AgentOptions& options) {
  v1::WorkerId id;
  id.set_name(options.name);
  id.set_incarnation(options.incarnation);
  return id;
}

}  // namespace

class PackerAgent::Impl : public WorkerSessionDelegate {
 public:
  Impl(AgentOptions options, DataPlane* data, PackerMetrics* metrics,
       std::function<void(const absl::Status&)> on_ended, std::shared_ptr<grpc::Channel> control,
       std::shared_ptr<grpc::Channel> bulk)
      : options_(std::move(options)),
        worker_(IdOf(options_)),
        data_(data),
        metrics_(metrics),
        on_ended_(std::move(on_ended)),
        fleet_(v1::Fleet::NewStub(std::move(control))),
        jobs_(
            data, [this](const std::string& hash) { return FetchManifest(hash); }, kMaxJobs),
        queue_(options_.max_queued_bytes, options_.clock,
               [metrics](uint64_t bytes) { metrics->BytesMade(bytes); }),
        runner_(data, &jobs_, metrics_, options_.clock, &stop_, options_.data_retry),
        push_(std::move(bulk), worker_, options_.packs_address, &queue_, options_.store, metrics_,
              options_.clock, [this](uint64_t epoch) { EndLease(epoch); }),
        lease_wait_(options_.lease_wait) {}

  ~Impl() override { StopAll(); }

  absl::Status Start() {
    WorkerSessionOptions session;
    session.coordinator = options_.coordinator;
    session.channel = options_.channel;
    session.grace = options_.grace;
    session.backoff = options_.backoff;
    session.clock = options_.clock;
    v1::RegisterRequest& registration = session.registration;
    *registration.mutable_worker() = worker_;
    registration.set_role(v1::PACKER);
    registration.set_version(Version());
    registration.set_host(options_.host);
    registration.add_plan_versions(kPlanVersion);
    registration.set_threads(static_cast<uint32_t>(options_.threads));
    registration.set_http_address(options_.http_address);
    registration.set_packs_address(options_.packs_address);
    absl::StatusOr<std::unique_ptr<WorkerSession>> started =
        WorkerSession::Start(std::move(session), this);
    if (!started.ok()) return started.status();
    {
      absl::MutexLock lock(&mutex_);
      session_ = *std::move(started);
    }
    for (int i = 0; i < options_.threads; ++i) {
      workers_.emplace_back([this] { WorkLoop(); });
      makers_.emplace_back([this] { MakeLoop(); });
    }
    pusher_ = std::thread([this] { PushLoop(); });
    return absl::OkStatus();
  }

  bool Drain(absl::Duration timeout) {
    const absl::Duration until = Now() + timeout;
    draining_ = true;
    queue_.Drain();
    ReportChanged();
    // Work and packs in hand end by themselves; there is nothing to be woken by that matters at
    // this pace.
    while ((works_running_ > 0 || !queue_.empty()) && Now() < until) {
      if (!stop_.SleepFor(absl::Milliseconds(20))) break;
    }
    const bool clean = works_running_ == 0 && queue_.empty();
    // Closing lets the Push thread end its side and wait until the coordinator has read it all.
    queue_.Close();
    if (clean && pusher_.joinable()) {
      closing_ = true;
      pusher_.join();
    }
    StopAll();
    return clean;
  }

  // --- WorkerSessionDelegate: never two calls at a time.

  void OnRegistered(const v1::RegisterReply& reply) override {
    if (coordinator_incarnation_.exchange(reply.coordinator_incarnation()) ==
        reply.coordinator_incarnation()) {
      return;
    }
    // A restarted coordinator has voided every lease.
    leases_.Clear();
  }

  void OnDirective(const v1::Directive& directive) override {
    std::set<std::string> jobs;
    absl::Duration wait = options_.lease_wait;
    for (const v1::JobData& job : directive.jobs()) {
      jobs.insert(job.job());
      if (job.spec().timeouts().has_lease_seconds()) {
        wait = std::min(wait, absl::Seconds(job.spec().timeouts().lease_seconds()) / 4);
      }
    }
    metrics_->SetJobs(jobs, Now());
    absl::MutexLock lock(&mutex_);
    lease_wait_ = std::max(wait, absl::Milliseconds(10));
  }

  v1::WorkerReport BuildReport() override {
    v1::WorkerReport report;
    std::vector<uint64_t> expired;
    for (uint64_t epoch : leases_.Held(Now(), &expired)) report.add_lease_epochs(epoch);
    for (uint64_t epoch : expired) {
      NAVIT_LOG(WARNING) << "lease " << epoch << " ran out";
      queue_.DropLease(epoch);
      options_.store->DropLease(epoch);
    }
    report.set_draining(draining_);
    // Reports also go out at every change; these numbers need not.
    if (Now() - telemetry_sent_ >= kTelemetryEvery) {
      telemetry_sent_ = Now();
      *report.mutable_packer_telemetry() = PackerTelemetryOf(metrics_->registry()->Collect());
    }
    return report;
  }

  void OnReportSent(const v1::WorkerReport& report, absl::Duration sent_at) override {
    leases_.Renew({report.lease_epochs().begin(), report.lease_epochs().end()}, sent_at);
  }

  void OnEnded(const absl::Status& status) override {
    NAVIT_LOG(ERROR) << "the session ended: " << status;
    stop_.Stop();
    if (on_ended_) on_ended_(status);
  }

 private:
  absl::Duration Now() const { return options_.clock->SteadyNow(); }

  void ReportChanged() {
    absl::MutexLock lock(&mutex_);
    if (session_ != nullptr) session_->ReportChanged();
  }

  void EndLease(uint64_t epoch) {
    leases_.Remove(epoch);
    ReportChanged();
  }

  void StopAll() {
    stop_.Stop();
    data_->Stop();
    queue_.Close();
    push_.Cancel();
    for (std::thread& thread : workers_) thread.join();
    for (std::thread& thread : makers_) thread.join();
    workers_.clear();
    makers_.clear();
    if (pusher_.joinable()) pusher_.join();
    // Outside the lock: a callback of the session may be waiting for it.
    std::unique_ptr<WorkerSession> session;
    {
      absl::MutexLock lock(&mutex_);
      session = std::move(session_);
    }
    if (session != nullptr) session->Stop();
  }

  // --- Work threads

  void WorkLoop() {
    Backoff backoff(options_.backoff, SystemUniform());
    while (!stop_.stopped()) {
      v1::Work work;
      absl::Duration requested_at;
      {
        // One request at a time: the thread that gets work lets the next one ask.
        absl::MutexLock lock(&lease_mutex_);
        if (stop_.stopped() || draining_) return;
        requested_at = Now();
        const absl::Status status = LeaseWork(&work);
        if (!status.ok()) {
          NAVIT_LOG(DEBUG) << status;
          stop_.SleepFor(*backoff.Next(Now()));
          continue;
        }
        backoff.Reset();
        if (work.kind_case() != v1::Work::KIND_NOT_SET) {
          ++works_running_;
          leases_.Add(work.lease_epoch(), absl::Seconds(work.ttl_seconds()), requested_at);
        }
      }
      if (work.kind_case() == v1::Work::KIND_NOT_SET) continue;
      ReportChanged();
      DoWork(work);
      --works_running_;
    }
  }

  absl::Status LeaseWork(v1::Work* work) {
    if (coordinator_incarnation_ == 0) return absl::UnavailableError("not registered yet");
    absl::Duration wait;
    {
      absl::MutexLock lock(&mutex_);
      wait = lease_wait_;
    }
    grpc::ClientContext context;
    SetDeadline(&context, wait);
    v1::LeaseWorkRequest request;
    *request.mutable_worker() = worker_;
    const absl::Status status =
        FromGrpcStatus(fleet_->LeaseWork(&context, request, work), "Fleet.LeaseWork");
    // Nothing came in time: the same as an empty answer.
    return absl::IsDeadlineExceeded(status) ? absl::OkStatus() : status;
  }

  void DoWork(const v1::Work& work) {
    LogScope scope(JobOf(work));
    const uint64_t epoch = work.lease_epoch();
    WorkRunner::Outcome outcome = runner_.Run(work);
    // Before the plan is reported: grants may follow at once.
    if (outcome.window != nullptr) leases_.AttachWindow(epoch, outcome.window, Now());
    const bool delivered = FinishWork(epoch, std::move(outcome.result));
    if (!delivered || outcome.window == nullptr) EndLease(epoch);
  }

  // Delivers a result while the lease holds. False: the lease is void.
  bool FinishWork(uint64_t epoch, v1::FinishWorkRequest request) {
    *request.mutable_worker() = worker_;
    request.set_lease_epoch(epoch);
    if (request.has_failure()) {
      NAVIT_LOG(WARNING) << "lease " << epoch << " failed: " << request.failure().message();
    }
    Backoff backoff(options_.backoff, SystemUniform());
    while (leases_.Holds(epoch, Now())) {
      grpc::ClientContext context;
      SetDeadline(&context, options_.call_timeout);
      google::protobuf::Empty empty;
      const absl::Status status =
          FromGrpcStatus(fleet_->FinishWork(&context, request, &empty), "Fleet.FinishWork");
      if (status.ok()) return true;
      NAVIT_LOG(WARNING) << "lease " << epoch << ": " << status;
      if (!IsTransient(status)) return false;
      if (!stop_.SleepFor(*backoff.Next(Now()))) return false;
    }
    return false;
  }

  absl::StatusOr<v1::DataManifest> FetchManifest(const std::string& hash) {
    grpc::ClientContext context;
    SetDeadline(&context, kManifestTimeout);
    v1::GetManifestRequest request;
    request.set_hash(hash);
    v1::DataManifest manifest;
    NAVIT_RETURN_IF_ERROR(
        FromGrpcStatus(fleet_->GetManifest(&context, request, &manifest), "Fleet.GetManifest"));
    return manifest;
  }

  // --- Make threads

  void MakeLoop() {
    while (std::optional<PackQueue::Task> task = queue_.TakeToMake()) {
      if (task->blocked > absl::ZeroDuration()) {
        metrics_->BlockedDownstream(absl::ToDoubleSeconds(task->blocked));
      }
      const std::shared_ptr<const HeldWindow> window = leases_.Window(task->lease_epoch, Now());
      if (window == nullptr) {
        NAVIT_LOG(WARNING) << "granted a pack of lease " << task->lease_epoch
                           << ", which is not held";
        queue_.Abandon(task->ticket);
        continue;
      }
      LogScope scope(window->job);
      // While this pack is decoded, the next ones are on their way.
      for (const PackQueue::Waiting& next : queue_.NextToMake(kPacksAhead)) {
        const auto held = leases_.Window(next.lease_epoch, Now());
        if (held != nullptr && next.index < held->plan.packs()) {
          held->packs->ReadAhead(held->plan, next.index);
        }
      }
      v1::Frame frame;
      const absl::Status status = MakePack(*window, *task, &frame);
      if (status.ok()) {
        queue_.Made(task->ticket, std::move(frame));
        continue;
      }
      queue_.Abandon(task->ticket);
      if (stop_.stopped()) continue;
      queue_.DropLease(task->lease_epoch);
      v1::FinishWorkRequest result;
      *result.mutable_failure() = FailureOf(status);
      FinishWork(task->lease_epoch, std::move(result));
      EndLease(task->lease_epoch);
    }
  }

  absl::Status MakePack(const HeldWindow& window, const PackQueue::Task& task, v1::Frame* frame) {
    if (task.index >= window.plan.packs()) {
      return absl::InternalError(absl::StrCat("window ", window.plan.window, " of job ", window.job,
                                              " has ", window.plan.packs(), " packs; granted pack ",
                                              task.index));
    }
    PackedBytes made;
    NAVIT_RETURN_IF_ERROR(
        RetryRead(options_.data_retry, *options_.clock, &stop_, metrics_, [&]() -> absl::Status {
          NAVIT_ASSIGN_OR_RETURN(made, window.packs->Make(window.plan, task.index));
          return absl::OkStatus();
        }));
    // The header and the framing need little; what is left is theirs.
    constexpr uint64_t kFraming = uint64_t{1} << 16;
    if (made.payload.size() + made.header.ByteSizeLong() + kFraming >
        static_cast<uint64_t>(options_.channel.max_message_bytes)) {
      return absl::FailedPreconditionError(absl::StrCat(
          "pack ", task.index, " of window ", window.plan.window, " takes ", made.payload.size(),
          " bytes, more than one message may: lower packing.sequence_length"));
    }
    made.header.set_job(window.job);
    made.header.set_lease_epoch(task.lease_epoch);
    metrics_->PackMade(made.header, made.stats, leases_.MarkMade(task.lease_epoch, task.index));
    *frame->mutable_header() = std::move(made.header);
    *frame->mutable_payload() = std::move(made.payload);
    return absl::OkStatus();
  }

  // --- Push thread

  void PushLoop() {
    Backoff backoff(options_.backoff, SystemUniform());
    while (!stop_.stopped() && !closing_) {
      if (coordinator_incarnation_ != 0) {
        const absl::Duration start = Now();
        const absl::Status status = push_.Run();
        if (stop_.stopped() || closing_) return;
        NAVIT_LOG(WARNING) << "the stream of packs ended: " << status;
        // A stream that lasted was a success.
        if (Now() - start > absl::Seconds(5)) backoff.Reset();
      }
      stop_.SleepFor(*backoff.Next(Now()));
    }
  }

  const AgentOptions options_;
  const v1::WorkerId worker_;
  DataPlane* const data_;
  PackerMetrics* const metrics_;
  const std::function<void(const absl::Status&)> on_ended_;
  const std::unique_ptr<v1::Fleet::Stub> fleet_;

  StopFlag stop_;
  std::atomic<bool> draining_{false};
  // The queue is closed on purpose: no further stream.
  std::atomic<bool> closing_{false};
  std::atomic<int> works_running_{0};
  // 0: not registered yet.
  std::atomic<uint64_t> coordinator_incarnation_{0};

  // Steady time of the last telemetry; used by BuildReport alone.
  absl::Duration telemetry_sent_ = -absl::InfiniteDuration();

  LeaseBook leases_;
  JobTable jobs_;
  PackQueue queue_;
  WorkRunner runner_;
  PushClient push_;

  absl::Mutex lease_mutex_;
  absl::Mutex mutex_;
  absl::Duration lease_wait_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<WorkerSession> session_ ABSL_GUARDED_BY(mutex_);

  std::vector<std::thread> workers_;
  std::vector<std::thread> makers_;
  std::thread pusher_;
};

absl::StatusOr<std::unique_ptr<PackerAgent>> PackerAgent::Start(
    AgentOptions options, DataPlane* data, PackerMetrics* metrics,
    std::function<void(const absl::Status&)> on_ended) {
  if (options.threads < 1) return absl::InvalidArgumentError("--threads: must be at least 1");
  ChannelOptions own = options.channel;
  own.own_connection = true;
  NAVIT_ASSIGN_OR_RETURN(std::shared_ptr<grpc::Channel> control,
                         MakeChannel(options.coordinator, own));
  NAVIT_ASSIGN_OR_RETURN(std::shared_ptr<grpc::Channel> bulk,
                         MakeChannel(options.coordinator, own));
  auto impl = std::make_unique<Impl>(std::move(options), data, metrics, std::move(on_ended),
                                     std::move(control), std::move(bulk));
  NAVIT_RETURN_IF_ERROR(impl->Start());
  return std::unique_ptr<PackerAgent>(new PackerAgent(std::move(impl)));
}

PackerAgent::PackerAgent(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PackerAgent::~PackerAgent() = default;
bool PackerAgent::Drain(absl::Duration timeout) { return impl_->Drain(timeout); }

}  // namespace navit
