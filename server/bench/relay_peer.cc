// Packers and trainers of the real coordinator: they speak the whole protocol, make no pack and
// train nothing. Frames are raw bytes at both ends, so that what is measured is the relay.
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "common/grpc_channel.h"
#include "common/grpc_status.h"
#include "common/packs_digest.h"
#include "common/version.h"
#include "common/worker_session.h"
#include "proto/batches.pb.h"
#include "proto/fleet.grpc.pb.h"
#include "proto/jobs.grpc.pb.h"
#include "server/bench/packs.h"

namespace navit::bench {
namespace {

constexpr char kJob[] = "bench";
constexpr uint64_t kCreditBytes = uint64_t{128} << 20;

std::shared_ptr<grpc::Channel> Dial(const std::string& address) {
  ChannelOptions options;
  options.own_connection = true;
  auto channel = MakeChannel(address, options);
  if (!channel.ok()) std::abort();
  return *channel;
}

[[noreturn]] void Die(const std::string& what) {
  std::fprintf(stderr, "relay_bench: %s\n", what.c_str());
  std::exit(1);
}

template <typename Message>
grpc::ByteBuffer Serialize(const Message& message) {
  grpc::ByteBuffer bytes;
  bool own = false;
  grpc::SerializationTraits<Message>::Serialize(message, &bytes, &own);
  return bytes;
}

// A frame of a header and a part of `bytes`, which is not copied.
grpc::ByteBuffer MakeFrame(const v1::PackHeader& header, const grpc::Slice& bytes,
                           uint64_t offset) {
  std::string front("\x0a");
  const auto varint = [&front](uint64_t value) {
    for (; value >= 0x80; value >>= 7) front.push_back(static_cast<char>(value | 0x80));
    front.push_back(static_cast<char>(value));
  };
  varint(header.ByteSizeLong());
  header.AppendToString(&front);
  front.push_back('\x12');
  varint(header.payload_bytes());
  const grpc::Slice slices[] = {grpc::Slice(front),
                                bytes.sub(offset, offset + header.payload_bytes())};
  return grpc::ByteBuffer(slices, 2);
}

// A stream of raw messages; writes wait for each other.
class RawStream : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  RawStream(const std::shared_ptr<grpc::Channel>& channel, const char* method,
            std::function<void(RawStream*, grpc::ByteBuffer)> take)
      : stub_(channel), take_(std::move(take)) {
    stub_.PrepareBidiStreamingCall(&context_, method, {}, this);
    StartRead(&in_);
    StartCall();
  }
  void Send(grpc::ByteBuffer message) {
    std::lock_guard<std::mutex> lock(mutex_);
    queue_.push_back(std::move(message));
    if (queue_.size() == 1) StartWrite(&queue_.front());
  }
  void Cancel() { context_.TryCancel(); }
  // Waits for the end.
  grpc::Status Wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    ended_.wait(lock, [this] { return done_; });
    return status_;
  }

  void OnReadDone(bool ok) override {
    if (!ok) return;
    take_(this, in_);
    in_.Clear();
    StartRead(&in_);
  }
  void OnWriteDone(bool ok) override {
    if (!ok) return;
    std::lock_guard<std::mutex> lock(mutex_);
    queue_.pop_front();
    if (!queue_.empty()) StartWrite(&queue_.front());
  }
  void OnDone(const grpc::Status& status) override {
    std::lock_guard<std::mutex> lock(mutex_);
    done_ = true;
    status_ = status;
    ended_.notify_all();
  }

 private:
  grpc::GenericStub stub_;
  grpc::ClientContext context_;
  const std::function<void(RawStream*, grpc::ByteBuffer)> take_;
  grpc::ByteBuffer in_;
  std::mutex mutex_;
  std::condition_variable ended_;
  std::deque<grpc::ByteBuffer> queue_;
  bool done_ = false;
  grpc::Status status_;
};

v1::WorkerId Id(const std::string& name) {
  v1::WorkerId id;
  id.set_name(name);
  id.set_incarnation(1);
  return id;
}

std::unique_ptr<WorkerSession> StartSession(const std::string& coordinator, const v1::WorkerId& id,
                                            v1::Role role, WorkerSessionDelegate* delegate) {
  WorkerSessionOptions options;
  options.coordinator = coordinator;
  *options.registration.mutable_worker() = id;
  options.registration.set_role(role);
  options.registration.set_version(Version());
  options.registration.set_host("bench");
  options.registration.set_device("cpu");
  auto session = WorkerSession::Start(std::move(options), delegate);
  if (!session.ok()) Die(session.status().ToString());
  return *std::move(session);
}

class PackerDelegate : public WorkerSessionDelegate {
 public:
  void OnRegistered(const v1::RegisterReply&) override {
    if (!registered.HasBeenNotified()) registered.Notify();
  }
  void OnDirective(const v1::Directive&) override {}
  v1::WorkerReport BuildReport() override {
    std::lock_guard<std::mutex> lock(mutex);
    v1::WorkerReport report;
    for (const auto& [epoch, window] : windows) report.add_lease_epochs(epoch);
    return report;
  }
  void OnEnded(const absl::Status&) override { ended = true; }

  absl::Notification registered;
  std::atomic<bool> ended{false};
  std::mutex mutex;
  std::map<uint64_t, uint64_t> windows;  // By lease.
};

// The result of a piece of work.
v1::FinishWorkRequest ResultOf(const v1::Work& work) {
  v1::FinishWorkRequest result;
  result.set_lease_epoch(work.lease_epoch());
  if (work.has_expand_shards()) {
    result.mutable_shards()->add_train("/bench.tar");
    result.mutable_shards()->add_train_datasets(1);
  } else if (work.has_index_shard()) {
    result.mutable_shard()->set_path(work.index_shard().shard());
    result.mutable_shard()->set_samples(kSamples);
    result.mutable_shard()->set_bytes(1);
    result.mutable_shard()->set_hash(1);
    result.mutable_shard()->set_index_path("/bench.tar.navit-index");
  } else {
    result.mutable_plan()->set_packs(kPacksPerWindow);
    result.mutable_plan()->set_digest(work.window().window() + 1);
    result.mutable_plan()->set_plan_version(work.window().spec().packing().plan_version());
  }
  return result;
}

class TrainerDelegate : public WorkerSessionDelegate {
 public:
  void OnDirective(const v1::Directive& directive) override {
    std::lock_guard<std::mutex> lock(mutex);
    const v1::TrainerDirective& wanted = directive.trainer();
    if (wanted.kind() != v1::TrainerDirective::PREPARE &&
        wanted.kind() != v1::TrainerDirective::RUN) {
      return;
    }
    const bool runs = wanted.kind() == v1::TrainerDirective::RUN;
    const auto kind = runs ? v1::TrainerState::RUNNING : v1::TrainerState::JOINED;
    const bool news = kind != state.kind() || wanted.generation() != state.generation();
    state.set_job(wanted.job().job());
    state.set_job_uid(wanted.job().job_uid());
    state.set_generation(wanted.generation());
    state.set_kind(kind);
    if (runs) run = wanted;
    changed.notify_all();
    if (news && session != nullptr) session->ReportChanged();
  }
  v1::WorkerReport BuildReport() override {
    std::lock_guard<std::mutex> lock(mutex);
    v1::WorkerReport report;
    *report.mutable_trainer() = state;
    return report;
  }
  void OnEnded(const absl::Status& status) override { Die(status.ToString()); }

  std::mutex mutex;
  std::condition_variable changed;
  v1::TrainerState state;
  v1::TrainerDirective run;
  WorkerSession* session = nullptr;
};

// Reports the steps that all ranks have got, several in one call when they come faster than they
// become durable. Trainers would meet in the all-reduce of a step; here the ranks tell rank 0
// through the coordinator's keys.
class Reporter {
 public:
  Reporter(const std::string& coordinator, v1::WorkerId id, const v1::TrainerDirective& run)
      : stub_(v1::Fleet::NewStub(Dial(coordinator))),
        id_(std::move(id)),
        rank_(run.rank()),
        world_size_(static_cast<uint32_t>(run.members_size())),
        generation_(run.generation()),
        thread_([this] { Run(); }) {}
  ~Reporter() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stopping_ = true;
      changed_.notify_all();
    }
    thread_.join();
  }
  void Add(const v1::StepReport& step) {
    std::lock_guard<std::mutex> lock(mutex_);
    *waiting_.add_steps() = step;
    changed_.notify_all();
  }

 private:
  static std::string Key(uint64_t step, uint32_t rank) { return absl::StrCat(step, "/", rank); }

  void Run() {
    std::unique_lock<std::mutex> lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return stopping_ || waiting_.steps_size() > 0; });
      if (waiting_.steps_size() == 0) return;
      v1::ReportStepsRequest request;
      request.Swap(&waiting_);
      lock.unlock();
      const grpc::Status status = rank_ == 0 ? Report(&request) : Publish(request);
      if (!status.ok()) Die(status.error_message());
      lock.lock();
    }
  }

  grpc::Status Publish(const v1::ReportStepsRequest& steps) {
    for (const v1::StepReport& step : steps.steps()) {
      v1::KvSetRequest request;
      *request.mutable_worker() = id_;
      request.set_job(kJob);
      request.set_generation(generation_);
      request.set_key(Key(step.step(), rank_));
      grpc::ClientContext context;
      SetDeadline(&context, absl::Seconds(20));
      google::protobuf::Empty empty;
      const grpc::Status status = stub_->KvSet(&context, request, &empty);
      if (!status.ok()) return status;
    }
    return grpc::Status::OK;
  }

  grpc::Status Report(v1::ReportStepsRequest* request) {
    v1::KvGetRequest others;
    *others.mutable_worker() = id_;
    others.set_job(kJob);
    others.set_generation(generation_);
    for (uint32_t rank = 1; rank < world_size_; ++rank) {
      others.add_keys(Key(request->steps(request->steps_size() - 1).step(), rank));
    }
    if (world_size_ > 1) {
      grpc::ClientContext context;
      SetDeadline(&context, absl::Seconds(20));
      v1::KvGetReply values;
      const grpc::Status status = stub_->KvGet(&context, others, &values);
      if (!status.ok()) return status;
    }
    *request->mutable_worker() = id_;
    request->set_job(kJob);
    request->set_generation(generation_);
    grpc::ClientContext context;
    SetDeadline(&context, absl::Seconds(20));
    google::protobuf::Empty empty;
    return stub_->ReportSteps(&context, *request, &empty);
  }

  const std::unique_ptr<v1::Fleet::Stub> stub_;
  const v1::WorkerId id_;
  const uint32_t rank_;
  const uint32_t world_size_;
  const uint64_t generation_;
  std::mutex mutex_;
  std::condition_variable changed_;
  v1::ReportStepsRequest waiting_;
  bool stopping_ = false;
  std::thread thread_;
};

v1::StepReport ReportOf(const v1::StepDeal& deal, uint64_t generation) {
  std::vector<std::pair<uint64_t, uint64_t>> packs;
  for (uint64_t o = deal.first_ordinal(); o < deal.first_ordinal() + deal.packs(); ++o) {
    packs.emplace_back(o, Mixed(o));
  }
  v1::StepReport report;
  report.set_generation(generation);
  report.set_step(deal.step());
  report.set_packs(deal.packs());
  report.set_packs_digest(PacksDigest(packs));
  report.set_samples(deal.samples());
  report.set_valid_examples(deal.valid_examples());
  return report;
}

}  // namespace

int Submit(const std::string& coordinator, const Load& load, const std::string& folder) {
  v1::SubmitRequest request;
  request.set_request_id("bench");
  v1::JobSpec* spec = request.mutable_spec();
  spec->set_name(kJob);
  spec->mutable_data()->add_train()->set_shards("/bench.tar");
  // A token has 772 bytes.
  spec->mutable_packing()->set_sequence_length(static_cast<uint32_t>(load.max_bytes / 772 + 16));
  spec->mutable_packing()->set_max_examples_per_sequence(64);
  spec->mutable_packing()->set_sequences_per_step(static_cast<uint32_t>(load.packs_per_step));
  spec->mutable_packing()->set_window_samples(kWindowSamples);
  spec->mutable_packing()->set_windows_per_group(kWindowsPerGroup);
  spec->mutable_train_for()->set_steps(load.steps());
  spec->mutable_checkpoints()->set_directory(folder);
  spec->mutable_workers()->mutable_trainers()->set_min(static_cast<uint32_t>(load.trainers));
  const auto stub = v1::Jobs::NewStub(Dial(coordinator));
  grpc::ClientContext context;
  SetDeadline(&context, absl::Seconds(20));
  v1::Job job;
  const grpc::Status status = stub->Submit(&context, request, &job);
  if (!status.ok()) Die(status.error_message());
  return 0;
}

int Packer(const std::string& coordinator, const Load& load, int number) {
  const v1::WorkerId id = Id(absl::StrCat("packer-", number));
  PackerDelegate delegate;
  const auto session = StartSession(coordinator, id, v1::PACKER, &delegate);
  const grpc::Slice bytes(RandomBytes(load.max_bytes + kSlackBytes));
  const auto fleet = v1::Fleet::NewStub(Dial(coordinator));
  delegate.registered.WaitForNotification();

  const auto take = [&](RawStream* stream, grpc::ByteBuffer message) {
    v1::PushReply reply;
    if (!grpc::SerializationTraits<v1::PushReply>::Deserialize(&message, &reply).ok()) {
      Die("grants were due");
    }
    std::lock_guard<std::mutex> lock(delegate.mutex);
    for (uint64_t epoch : reply.released()) delegate.windows.erase(epoch);
    for (const v1::PushReply::Grant& grant : reply.grants()) {
      const uint64_t window = delegate.windows.at(grant.lease_epoch());
      for (uint32_t index : grant.indexes()) {
        const uint64_t ordinal = OrdinalOf(window, index);
        stream->Send(
            MakeFrame(HeaderOf(kJob, window, index, grant.lease_epoch(), load.Bytes(ordinal)),
                      bytes, PayloadOffset(ordinal)));
      }
    }
  };
  RawStream push(Dial(coordinator), "/navit.v1.Batches/Push", take);
  v1::PushRequest hello;
  *hello.mutable_worker() = id;
  push.Send(Serialize(hello));

  // Until the coordinator goes away.
  while (!delegate.ended) {
    v1::LeaseWorkRequest request;
    *request.mutable_worker() = id;
    v1::Work work;
    grpc::ClientContext lease_context;
    SetDeadline(&lease_context, absl::Seconds(1));
    const grpc::Status leased = fleet->LeaseWork(&lease_context, request, &work);
    if (leased.error_code() == grpc::StatusCode::UNAVAILABLE) break;
    if (work.lease_epoch() == 0) continue;
    if (work.has_window()) {
      std::lock_guard<std::mutex> lock(delegate.mutex);
      delegate.windows[work.lease_epoch()] = work.window().window();
    }
    v1::FinishWorkRequest result = ResultOf(work);
    *result.mutable_worker() = id;
    grpc::ClientContext finish_context;
    SetDeadline(&finish_context, absl::Seconds(5));
    google::protobuf::Empty empty;
    fleet->FinishWork(&finish_context, result, &empty);
  }
  push.Cancel();
  push.Wait();
  return 0;
}

int Trainer(const std::string& coordinator, int number) {
  const v1::WorkerId id = Id(absl::StrCat("trainer-", number));
  TrainerDelegate delegate;
  delegate.state.set_kind(v1::TrainerState::IDLE);
  const auto session = StartSession(coordinator, id, v1::TRAINER, &delegate);
  v1::TrainerDirective run;
  {
    std::unique_lock<std::mutex> lock(delegate.mutex);
    delegate.session = session.get();
    delegate.changed.wait(lock, [&] { return delegate.run.kind() == v1::TrainerDirective::RUN; });
    run = delegate.run;
  }
  Reporter reporter(coordinator, id, run);
  Meter meter;
  v1::StepDeal deal;
  int got = 0;
  uint64_t step_bytes = 0;
  const auto take = [&](RawStream* stream, grpc::ByteBuffer bytes) {
    if (deal.step() == 0) {
      v1::PullReply reply;
      if (!grpc::SerializationTraits<v1::PullReply>::Deserialize(&bytes, &reply).ok() ||
          !reply.has_deal()) {
        Die("a deal was due");
      }
      deal = reply.deal();
    } else {
      ++got;
      step_bytes += bytes.Length();
      meter.Count(bytes.Length(), deal.step() > 2);
    }
    if (got < deal.ranks(static_cast<int>(run.rank())).ordinals_size()) return;
    v1::PullRequest credit;
    credit.set_credit_bytes(step_bytes);
    stream->Send(Serialize(credit));
    reporter.Add(ReportOf(deal, run.generation()));
    deal.Clear();
    got = 0;
    step_bytes = 0;
  };
  RawStream pull(Dial(coordinator), "/navit.v1.Batches/Pull", take);
  v1::PullRequest open;
  *open.mutable_open()->mutable_worker() = id;
  open.mutable_open()->set_job(kJob);
  open.mutable_open()->set_generation(run.generation());
  open.mutable_open()->set_rank(run.rank());
  open.mutable_open()->set_first_step(1);
  open.set_credit_bytes(kCreditBytes);
  pull.Send(Serialize(open));
  const grpc::Status status = pull.Wait();
  if (!status.ok()) Die(status.error_message());
  meter.Print();
  return 0;
}

}  // namespace navit::bench
