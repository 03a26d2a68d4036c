#include "worker/fake_coordinator.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "absl/strings/str_cat.h"
#include "proto/batches.grpc.pb.h"
#include "proto/fleet.grpc.pb.h"
#include "proto/jobs.grpc.pb.h"
#include "worker/tiny_job.h"

namespace navit {
namespace {

constexpr auto kPoll = std::chrono::milliseconds(5);

}  // namespace

class FakeCoordinator::Impl : public v1::Fleet::Service,
                              public v1::Batches::Service,
                              public v1::Jobs::Service {
 public:
  explicit Impl(FakeCoordinatorOptions options) : options_(std::move(options)) {
    slots_.resize(options_.world_size);
    committed_ = options_.checkpoint_step;
    if (!options_.checkpoint.empty()) checkpoints_[committed_] = options_.checkpoint;
    Serve(0);
  }

  ~Impl() override { StopServing(); }

  void Serve(int port) {
    stopping_ = false;
    grpc::ServerBuilder builder;
    builder.AddListeningPort(absl::StrCat("127.0.0.1:", port), grpc::InsecureServerCredentials(),
                             &port_);
    builder.RegisterService(static_cast<v1::Fleet::Service*>(this));
    builder.RegisterService(static_cast<v1::Batches::Service*>(this));
    builder.RegisterService(static_cast<v1::Jobs::Service*>(this));
    server_ = builder.BuildAndStart();
  }

  void StopServing() {
    stopping_ = true;
    server_->Shutdown(std::chrono::system_clock::now());
    server_->Wait();
    server_.reset();
  }

  grpc::Status Register(grpc::ServerContext*, const v1::RegisterRequest*,
                        v1::RegisterReply* reply) override {
    reply->set_heartbeat_interval_seconds(0.05);
    reply->set_coordinator_incarnation(1);
    return grpc::Status::OK;
  }

  grpc::Status Heartbeat(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<v1::Directive, v1::WorkerReport>* stream) override {
    std::string name;
    std::atomic<bool> open{true};
    std::thread reader([&] {
      v1::WorkerReport report;
      while (stream->Read(&report)) {
        std::lock_guard<std::mutex> lock(mutex_);
        name = report.worker().name();
        OnReport(name, report.trainer());
      }
      open = false;
    });
    while (open && !stopping_) {
      v1::Directive directive;
      {
        std::lock_guard<std::mutex> lock(mutex_);
        directive = DirectiveFor(name);
      }
      if (!stream->Write(directive)) break;
      std::this_thread::sleep_for(kPoll);
    }
    // When the server stops, its shutdown cancels the call, and that ends the reader.
    reader.join();
    std::lock_guard<std::mutex> lock(mutex_);
    if (!stopping_) OnLost(name);
    return grpc::Status::OK;
  }

  grpc::Status KvSet(grpc::ServerContext*, const v1::KvSetRequest* request,
                     google::protobuf::Empty*) override {
    std::lock_guard<std::mutex> lock(mutex_);
    if (request->generation() != generation_) return Stale();
    values_[request->key()] = request->value();
    return grpc::Status::OK;
  }

  grpc::Status KvGet(grpc::ServerContext* context, const v1::KvGetRequest* request,
                     v1::KvGetReply* reply) override {
    while (!context->IsCancelled() && !stopping_) {
      {
        std::lock_guard<std::mutex> lock(mutex_);
        if (request->generation() != generation_) return Stale();
        reply->clear_values();
        for (const std::string& key : request->keys()) {
          if (values_.count(key) > 0) reply->add_values(values_[key]);
        }
        if (reply->values_size() == request->keys_size()) return grpc::Status::OK;
      }
      std::this_thread::sleep_for(kPoll);
    }
    return {grpc::StatusCode::UNAVAILABLE, "stopping"};
  }

  grpc::Status ReportSteps(grpc::ServerContext*, const v1::ReportStepsRequest* request,
                           google::protobuf::Empty*) override {
    std::lock_guard<std::mutex> lock(mutex_);
    if (request->generation() != generation_) return Stale();
    for (const v1::StepReport& step : request->steps()) {
      if (step.step() <= committed_) continue;
      if (step.step() != committed_ + 1) return {grpc::StatusCode::OUT_OF_RANGE, "gap"};
      Record(step);
    }
    return grpc::Status::OK;
  }

  grpc::Status CommitCheckpoint(grpc::ServerContext*, const v1::CommitCheckpointRequest* request,
                                v1::CommitCheckpointReply*) override {
    std::lock_guard<std::mutex> lock(mutex_);
    if (request->generation() != generation_) return Stale();
    if (request->step() > committed_) return {grpc::StatusCode::UNAVAILABLE, "not recorded yet"};
    checkpoints_[request->step()] = request->path();
    return grpc::Status::OK;
  }

  grpc::Status ReportEvent(grpc::ServerContext*, const v1::ReportEventRequest* request,
                           google::protobuf::Empty*) override {
    std::lock_guard<std::mutex> lock(mutex_);
    events_.push_back(*request);
    return grpc::Status::OK;
  }

  grpc::Status ListCheckpoints(grpc::ServerContext*, const v1::JobRequest*,
                               v1::ListCheckpointsReply* reply) override {
    std::lock_guard<std::mutex> lock(mutex_);
    for (const auto& [step, path] : checkpoints_) reply->add_checkpoints()->set_path(path);
    return grpc::Status::OK;
  }

  grpc::Status Pull(grpc::ServerContext* context,
                    grpc::ServerReaderWriter<v1::PullReply, v1::PullRequest>* stream) override {
    v1::PullRequest open;
    if (!stream->Read(&open)) return grpc::Status::OK;
    const uint32_t rank = open.open().rank();
    const uint64_t per_step = options_.job.spec().packing().sequences_per_step();
    const auto& failed = open.open().failed_sources();
    const bool direct =
        options_.keep && std::find(failed.begin(), failed.end(), options_.packer) == failed.end();
    for (uint64_t step = open.open().first_step(); step <= options_.steps; ++step) {
      while (true) {
        {
          std::lock_guard<std::mutex> lock(mutex_);
          if (stopping_ || context->IsCancelled()) {
            return {grpc::StatusCode::UNAVAILABLE, "stopping"};
          }
          if (open.open().generation() != generation_) return Stale();
          if (step <= committed_ + 2) break;
        }
        std::this_thread::sleep_for(kPoll);
      }
      v1::PullReply deal_reply;
      v1::StepDeal* deal = deal_reply.mutable_deal();
      deal->set_step(step);
      deal->set_progress(static_cast<double>(step) / options_.steps);
      deal->set_last(step == options_.steps);
      deal->set_packs(per_step);
      deal->set_valid_examples(per_step * kTinyExamples);
      for (uint32_t r = 0; r < options_.world_size; ++r) deal->add_ranks();
      for (uint64_t i = 0; i < per_step; ++i) {
        deal->mutable_ranks(i % options_.world_size)->add_ordinals((step - 1) * per_step + i);
      }
      if (!stream->Write(deal_reply)) return grpc::Status::OK;
      for (uint64_t ordinal : deal->ranks(rank).ordinals()) {
        v1::PullReply pack = TinyPack(options_.job, ordinal, v1::SPLIT_TRAIN);
        if (step == options_.corrupt_step && !corrupted_.exchange(true)) {
          (*pack.mutable_payload())[7] ^= 1;
        }
        if (direct) {
          const v1::Frame kept = options_.keep(pack);
          pack.Clear();
          *pack.add_frames() = kept;
        }
        if (!stream->Write(pack)) return grpc::Status::OK;
      }
    }
    return grpc::Status::OK;
  }

  grpc::Status PullEvaluation(grpc::ServerContext*, const v1::PullEvaluationRequest* request,
                              grpc::ServerWriter<v1::PullReply>* stream) override {
    for (uint64_t i = request->rank(); i < 5; i += request->world_size()) {
      if (!stream->Write(TinyPack(options_.job, i, request->split()))) break;
    }
    return grpc::Status::OK;
  }

  static grpc::Status Stale() {
    return {grpc::StatusCode::FAILED_PRECONDITION, "not the current generation"};
  }

  void Record(const v1::StepReport& step) {
    history_[step.step()] = step;
    committed_ = step.step();
    changed_.notify_all();
  }

  // Everything below: mutex_ held.

  void OnReport(const std::string& name, const v1::TrainerState& state) {
    states_[name] = state;
    if (std::find(slots_.begin(), slots_.end(), name) == slots_.end()) {
      const auto free = std::find(slots_.begin(), slots_.end(), "");
      if (free == slots_.end()) return;
      *free = name;
      if (running_) Prepare();
    }
    if (running_ && state.kind() == v1::TrainerState::BROKEN && state.generation() == generation_) {
      if (state.fatal()) {
        failure_ = state.failure();
        changed_.notify_all();
      } else {
        Prepare();
      }
    }
    if (!running_) MaybeOpen();
    if (running_ && All(v1::TrainerState::STOPPED)) {
      done_ = true;
      changed_.notify_all();
    }
  }

  void OnLost(const std::string& name) {
    states_.erase(name);
    for (std::string& slot : slots_) {
      if (slot != name) continue;
      slot.clear();
      if (running_ && !done_) Prepare();
    }
  }

  void Prepare() {
    running_ = false;
    ++generation_;
    ++version_;
    values_.clear();
  }

  bool All(v1::TrainerState::Kind kind) const {
    for (const std::string& slot : slots_) {
      const auto state = states_.find(slot);
      if (state == states_.end() || state->second.kind() != kind ||
          state->second.generation() != generation_) {
        return false;
      }
    }
    return true;
  }

  void MaybeOpen() {
    if (!All(v1::TrainerState::JOINED)) return;
    source_rank_ = -1;
    uint64_t applied = 0;
    for (uint32_t rank = 0; rank < slots_.size(); ++rank) {
      const v1::TrainerState& state = states_[slots_[rank]];
      if (!state.has_state() || (source_rank_ >= 0 && state.applied_step() <= applied)) continue;
      source_rank_ = rank;
      applied = state.applied_step();
    }
    if (source_rank_ >= 0) {
      for (const v1::StepReport& step : states_[slots_[source_rank_]].unacknowledged()) {
        if (step.step() == committed_ + 1) Record(step);
      }
    } else {
      applied = checkpoints_.empty() ? 0 : checkpoints_.rbegin()->first;
    }
    committed_ = applied;
    history_.erase(history_.upper_bound(applied), history_.end());
    opened_at_ = applied;
    running_ = true;
    ++version_;
  }

  v1::Directive DirectiveFor(const std::string& name) {
    v1::Directive directive;
    directive.set_coordinator_incarnation(1);
    directive.set_version(version_);
    const auto slot = std::find(slots_.begin(), slots_.end(), name);
    if (name.empty() || slot == slots_.end()) return directive;
    v1::TrainerDirective* trainer = directive.mutable_trainer();
    *trainer->mutable_job() = options_.job;
    trainer->set_generation(generation_);
    trainer->set_kind(running_ ? v1::TrainerDirective::RUN : v1::TrainerDirective::PREPARE);
    if (!running_) return directive;
    trainer->set_rank(slot - slots_.begin());
    for (const std::string& member : slots_) trainer->add_members(member);
    trainer->set_committed_step(opened_at_);
    trainer->set_source_rank(source_rank_);
    if (source_rank_ < 0 && !checkpoints_.empty()) {
      trainer->set_checkpoint(checkpoints_.rbegin()->second);
    }
    trainer->set_stop_after_step(options_.stop_after_step);
    trainer->set_checkpoint_on_stop(options_.stop_after_step != 0);
    trainer->set_durable_step(committed_);
    return directive;
  }

  const FakeCoordinatorOptions options_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> corrupted_{false};

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> slots_;
  std::map<std::string, v1::TrainerState> states_;
  bool running_ = false;
  bool done_ = false;
  uint64_t generation_ = 1;
  uint64_t version_ = 1;
  uint64_t committed_ = 0;
  uint64_t opened_at_ = 0;
  int source_rank_ = -1;
  std::map<std::string, std::string> values_;
  std::map<uint64_t, v1::StepReport> history_;
  std::map<uint64_t, std::string> checkpoints_;
  std::vector<v1::ReportEventRequest> events_;
  std::string failure_;
};

FakeCoordinator::FakeCoordinator(FakeCoordinatorOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}

FakeCoordinator::~FakeCoordinator() = default;

std::string FakeCoordinator::address() const { return absl::StrCat("127.0.0.1:", impl_->port_); }

void FakeCoordinator::Restart() {
  impl_->StopServing();
  impl_->Serve(impl_->port_);
}

bool FakeCoordinator::WaitUntilDone() {
  std::unique_lock<std::mutex> lock(impl_->mutex_);
  impl_->changed_.wait(lock, [this] { return impl_->done_ || !impl_->failure_.empty(); });
  return impl_->failure_.empty();
}

void FakeCoordinator::WaitForStep(uint64_t step) {
  std::unique_lock<std::mutex> lock(impl_->mutex_);
  impl_->changed_.wait(lock, [&] { return impl_->committed_ >= step || impl_->done_; });
}

std::string FakeCoordinator::failure() const {
  std::lock_guard<std::mutex> lock(impl_->mutex_);
  return impl_->failure_;
}

std::vector<v1::StepReport> FakeCoordinator::history() const {
  std::lock_guard<std::mutex> lock(impl_->mutex_);
  std::vector<v1::StepReport> steps;
  for (const auto& [number, step] : impl_->history_) steps.push_back(step);
  return steps;
}

std::map<uint64_t, std::string> FakeCoordinator::checkpoints() const {
  std::lock_guard<std::mutex> lock(impl_->mutex_);
  return impl_->checkpoints_;
}

std::vector<v1::ReportEventRequest> FakeCoordinator::events() const {
  std::lock_guard<std::mutex> lock(impl_->mutex_);
  return impl_->events_;
}

uint64_t FakeCoordinator::generation() const {
  std::lock_guard<std::mutex> lock(impl_->mutex_);
  return impl_->generation_;
}

}  // namespace navit
