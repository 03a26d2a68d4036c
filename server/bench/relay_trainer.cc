// A trainer of the relay benchmark.
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>
#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/frame_bytes.h"
#include "common/grpc_status.h"
#include "common/packs_digest.h"
#include "proto/batches.pb.h"
#include "proto/fleet.grpc.pb.h"
#include "server/bench/packs.h"
#include "server/bench/relay_peer.h"

namespace navit::bench {
namespace {

constexpr uint64_t kCreditBytes = uint64_t{128} << 20;

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

// What a message of Pull brings, read past its payloads.
struct Message {
  std::optional<v1::StepDeal> deal;
  int packs = 0;
  uint64_t pack_bytes = 0;
};

Message ReadMessage(grpc::ByteBuffer* bytes) {
  using Wire = google::protobuf::internal::WireFormatLite;
  Message message;
  grpc::ProtoBufferReader buffer(bytes);
  google::protobuf::io::CodedInputStream in(&buffer);
  uint32_t length = 0;
  while (const uint32_t tag = in.ReadTag()) {
    if (!in.ReadVarint32(&length)) Die("a message has no length");
    const int field = Wire::GetTagFieldNumber(tag);
    if (field == v1::PullReply::kDealFieldNumber) {
      std::string deal;
      if (!in.ReadString(&deal, static_cast<int>(length)) ||
          !message.deal.emplace().ParseFromString(deal)) {
        Die("a deal does not parse");
      }
    } else if (field == v1::PullReply::kFramesFieldNumber && in.Skip(static_cast<int>(length))) {
      ++message.packs;
      message.pack_bytes += length;
    } else {
      Die("a deal or packs were due");
    }
  }
  return message;
}

}  // namespace

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
  const auto channel = Dial(coordinator);
  grpc::ClientContext context;
  const auto pull = OpenStream<v1::PullRequest, grpc::ByteBuffer>(
      channel.get(), "/navit.v1.Batches/Pull", &context);
  v1::PullRequest open;
  *open.mutable_open()->mutable_worker() = id;
  open.mutable_open()->set_job(kJob);
  open.mutable_open()->set_generation(run.generation());
  open.mutable_open()->set_rank(run.rank());
  open.mutable_open()->set_first_step(1);
  open.mutable_open()->set_takes_frames(true);
  open.set_credit_bytes(kCreditBytes);
  pull->Write(open);
  grpc::ByteBuffer bytes;
  v1::StepDeal deal;
  v1::PullRequest credit;
  int missing = 0;
  while (pull->Read(&bytes)) {
    Message message = ReadMessage(&bytes);
    if (message.deal) {
      deal = *std::move(message.deal);
      missing = deal.ranks(static_cast<int>(run.rank())).ordinals_size();
      credit.set_credit_bytes(0);
    }
    missing -= message.packs;
    meter.Count(message.pack_bytes, deal.step() > 2);
    credit.set_credit_bytes(credit.credit_bytes() + message.pack_bytes);
    if (missing > 0) continue;
    if (missing < 0) Die("a step has more packs than its deal says");
    pull->Write(credit);
    reporter.Add(ReportOf(deal, run.generation()));
  }
  const grpc::Status status = pull->Finish();
  if (!status.ok()) Die(status.error_message());
  meter.Print();
  return 0;
}

}  // namespace navit::bench
