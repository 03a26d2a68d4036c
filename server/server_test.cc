// The whole coordinator in one process, on a port of its own, with workers that only speak the
// protocol: no image is read and no weight is held.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>
#include <thread>

#include "common/field_violations.h"
#include "common/grpc_server.h"
#include "common/grpc_status.h"
#include "common/packs_digest.h"
#include "common/version.h"
#include "proto/batches.grpc.pb.h"
#include "proto/fleet.grpc.pb.h"
#include "proto/jobs.grpc.pb.h"
#include "server/core/coordinator.h"
#include "server/host.h"
#include "server/metrics.h"
#include "server/services/services.h"
#include "server/store/sqlite_store.h"

namespace navit {
namespace {

using ::testing::HasSubstr;

constexpr int kG = 2;
constexpr int kPacksPerWindow = 2;
// What the job file's rules allow.
constexpr uint32_t kPlanVersion = 3;
constexpr absl::Duration kCall = absl::Seconds(20);

struct Call {
  explicit Call(absl::Duration timeout = kCall) { SetDeadline(&context, timeout); }
  grpc::ClientContext* operator&() { return &context; }
  grpc::ClientContext context;
};

// What navit-coordinator runs, on a fixed state file and a fresh port.
class Server {
 public:
  explicit Server(const std::string& state) {
    auto store = SqliteStore::Open(state);
    EXPECT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    core_ = std::make_unique<Coordinator>(CoordinatorOptions{}, store_.get());
    EXPECT_TRUE(core_->Start({1, 1}).ok());
    host_ = std::make_unique<CoordinatorHost>(core_.get(), CoordinatorHost::Options{});
    services_.push_back(
        MakeJobsService(host_.get(), &metrics_, &telemetry_, logs_.get(), MakeObjectStore()));
    services_.push_back(MakeFleetService(host_.get(), &metrics_, &telemetry_, logs_.get()));
    services_.push_back(MakeBatchesService(host_.get(), &metrics_));
    GrpcServerOptions options;
    options.listen = "127.0.0.1:0";
    auto server =
        GrpcServer::Start(options, {services_[0].get(), services_[1].get(), services_[2].get()});
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    channel_ = grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials());
    jobs_ = v1::Jobs::NewStub(channel_);
    fleet_ = v1::Fleet::NewStub(channel_);
    batches_ = v1::Batches::NewStub(channel_);
  }
  ~Server() {
    host_->Drain();
    server_->Shutdown(absl::Seconds(1));
  }

  v1::Jobs::Stub& jobs() { return *jobs_; }
  v1::Fleet::Stub& fleet() { return *fleet_; }
  v1::Batches::Stub& batches() { return *batches_; }
  uint64_t HeldBytes() {
    return host_->Call([](Coordinator&, PackBytes& packs, Instant) { return packs.bytes(); });
  }
  std::vector<prometheus::MetricFamily> Metrics() {
    return CoordinatorMetrics(host_.get(), &metrics_).Collect();
  }

 private:
  ServerMetrics metrics_;
  TelemetryBook telemetry_;
  std::unique_ptr<JobLogs> logs_ = *JobLogs::Open(testing::TempDir() + "/logs", uint64_t{1} << 20);
  std::unique_ptr<SqliteStore> store_;
  std::unique_ptr<Coordinator> core_;
  std::unique_ptr<CoordinatorHost> host_;
  std::vector<std::unique_ptr<grpc::Service>> services_;
  std::unique_ptr<GrpcServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::Jobs::Stub> jobs_;
  std::unique_ptr<v1::Fleet::Stub> fleet_;
  std::unique_ptr<v1::Batches::Stub> batches_;
};

// Registers and keeps a Heartbeat stream: repeats its report, answers directives.
class FakeWorker {
 public:
  FakeWorker(Server* server, const std::string& name, v1::Role role) : server_(server) {
    id_.set_name(name);
    id_.set_incarnation(7);
    v1::RegisterRequest request;
    *request.mutable_worker() = id_;
    request.set_role(role);
    request.set_version(Version());
    request.set_host("h");
    request.set_device("cpu");
    if (role == v1::PACKER) request.add_plan_versions(kPlanVersion);
    v1::RegisterReply reply;
    Call call;
    const grpc::Status status = server_->fleet().Register(&call, request, &reply);
    EXPECT_TRUE(status.ok()) << status.error_message();
    if (role == v1::TRAINER) report_.mutable_trainer()->set_kind(v1::TrainerState::IDLE);
    stream_ = server_->fleet().Heartbeat(&context_);
    reader_ = std::thread([this] { Read(); });
    writer_ = std::thread([this] { Write(); });
  }
  virtual ~FakeWorker() {
    stop_ = true;
    writer_.join();
    context_.TryCancel();
    reader_.join();
  }
  const v1::WorkerId& id() const { return id_; }
  void Hold(uint64_t lease) {
    absl::MutexLock lock(&mutex_);
    report_.add_lease_epochs(lease);
  }
  // The generation that this trainer runs, once it does.
  v1::TrainerDirective WaitForRun() {
    absl::MutexLock lock(&mutex_);
    const auto runs = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return run_.kind() == v1::TrainerDirective::RUN;
    };
    EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&runs), kCall));
    return run_;
  }

 private:
  void Read() {
    v1::Directive directive;
    while (stream_->Read(&directive)) {
      absl::MutexLock lock(&mutex_);
      const v1::TrainerDirective& wanted = directive.trainer();
      v1::TrainerState* state = report_.mutable_trainer();
      if (wanted.kind() == v1::TrainerDirective::PREPARE ||
          wanted.kind() == v1::TrainerDirective::RUN) {
        state->set_job(wanted.job().job());
        state->set_job_uid(wanted.job().job_uid());
        state->set_generation(wanted.generation());
        state->set_kind(wanted.kind() == v1::TrainerDirective::RUN ? v1::TrainerState::RUNNING
                                                                   : v1::TrainerState::JOINED);
        run_ = wanted;
      }
    }
  }
  void Write() {
    while (!stop_) {
      v1::WorkerReport report;
      {
        absl::MutexLock lock(&mutex_);
        report_.set_sequence(report_.sequence() + 1);
        *report_.mutable_worker() = id_;
        report = report_;
      }
      if (!stream_->Write(report)) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }

  Server* const server_;
  v1::WorkerId id_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::WorkerReport, v1::Directive>> stream_;
  std::atomic<bool> stop_{false};
  absl::Mutex mutex_;
  v1::WorkerReport report_ ABSL_GUARDED_BY(mutex_);
  v1::TrainerDirective run_ ABSL_GUARDED_BY(mutex_);
  std::thread reader_;
  std::thread writer_;
};

std::string Payload(uint64_t window, uint32_t index) {
  return std::string(1000 + index, static_cast<char>('a' + window % 26));
}

v1::PushRequest MakePack(const std::string& job, uint64_t window, uint32_t index, uint64_t lease) {
  v1::PushRequest pack;
  const std::string payload = Payload(window, index);
  v1::PackHeader* header = pack.mutable_header();
  header->set_job(job);
  header->set_window(window);
  header->set_index(index);
  header->set_lease_epoch(lease);
  header->set_content_hash(window * 100 + index);
  header->set_payload_bytes(payload.size());
  header->set_plan_version(kPlanVersion);
  header->set_image_tokens(10);
  header->set_capacity_tokens(64);
  header->set_text_tokens(4);
  header->set_examples(2);
  header->set_valid_examples(2);
  header->set_sum_squares(50);
  pack.set_payload(payload);
  return pack;
}

// Takes any work and delivers it at once; pushes exactly what is granted.
class FakePacker : public FakeWorker {
 public:
  FakePacker(Server* server, const std::string& name)
      : FakeWorker(server, name, v1::PACKER), server_(server) {
    push_ = server_->batches().Push(&push_context_);
    v1::PushRequest first;
    *first.mutable_worker() = id();
    push_->Write(first);
    work_ = std::thread([this] { Work(); });
    grants_ = std::thread([this] { Push(); });
  }
  ~FakePacker() override {
    stop_ = true;
    push_context_.TryCancel();
    work_.join();
    grants_.join();
  }
  std::atomic<int> pushed{0};

 private:
  void Work() {
    while (!stop_) {
      v1::LeaseWorkRequest request;
      *request.mutable_worker() = id();
      v1::Work work;
      Call call(absl::Milliseconds(500));
      if (!server_->fleet().LeaseWork(&call, request, &work).ok() || work.lease_epoch() == 0) {
        continue;
      }
      v1::FinishWorkRequest result;
      *result.mutable_worker() = id();
      result.set_lease_epoch(work.lease_epoch());
      if (work.has_expand_shards()) {
        result.mutable_shards()->add_train("/data/a.tar");
        result.mutable_shards()->add_train_datasets(1);
      } else if (work.has_index_shard()) {
        v1::ShardEntry* shard = result.mutable_shard();
        shard->set_path(work.index_shard().shard());
        shard->set_samples(64);
        shard->set_bytes(1000);
        shard->set_hash(5);
        shard->set_index_path("/data/a.tar.navit-index");
      } else if (work.has_window()) {
        absl::MutexLock lock(&mutex_);
        windows_[work.lease_epoch()] = {work.window().job(), work.window().window()};
        Hold(work.lease_epoch());
        result.mutable_plan()->set_packs(kPacksPerWindow);
        result.mutable_plan()->set_digest(work.window().window() + 1);
        result.mutable_plan()->set_plan_version(kPlanVersion);
      }
      google::protobuf::Empty empty;
      Call finish;
      const grpc::Status status = server_->fleet().FinishWork(&finish, result, &empty);
      EXPECT_TRUE(status.ok() || stop_) << status.error_message();
    }
  }
  void Push() {
    v1::PushReply reply;
    while (push_->Read(&reply)) {
      for (const v1::PushReply::Grant& grant : reply.grants()) {
        std::pair<std::string, uint64_t> window;
        {
          absl::MutexLock lock(&mutex_);
          window = windows_.at(grant.lease_epoch());
        }
        for (const uint32_t index : grant.indexes()) {
          push_->Write(MakePack(window.first, window.second, index, grant.lease_epoch()));
          ++pushed;
        }
      }
    }
  }

  Server* const server_;
  std::atomic<bool> stop_{false};
  grpc::ClientContext push_context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::PushRequest, v1::PushReply>> push_;
  absl::Mutex mutex_;
  std::map<uint64_t, std::pair<std::string, uint64_t>> windows_ ABSL_GUARDED_BY(mutex_);
  std::thread work_;
  std::thread grants_;
};

class ServerTest : public ::testing::Test {
 protected:
  ServerTest() {
    const char* base = std::getenv("TEST_TMPDIR");
    std::string pattern = std::string(base != nullptr ? base : "/tmp") + "/server-XXXXXX";
    folder_ = mkdtemp(pattern.data());
    Restart();
  }
  ~ServerTest() override {
    server_.reset();
    std::filesystem::remove_all(folder_);
  }
  void Restart() {
    server_.reset();
    server_ = std::make_unique<Server>(folder_ + "/state.db");
  }

  v1::SubmitRequest Spec(const std::string& request_id, const std::string& name = "job") {
    v1::SubmitRequest request;
    request.set_request_id(request_id);
    v1::JobSpec* spec = request.mutable_spec();
    spec->set_name(name);
    spec->mutable_data()->add_train()->set_shards("/data/a.tar");
    spec->mutable_packing()->set_sequence_length(64);
    spec->mutable_packing()->set_plan_version(kPlanVersion);
    spec->mutable_packing()->set_sequences_per_step(kG);
    spec->mutable_packing()->set_window_samples(16);
    spec->mutable_packing()->set_windows_per_group(1);
    spec->mutable_train_for()->set_steps(100);
    spec->mutable_checkpoints()->set_directory(folder_ + "/checkpoints");
    return request;
  }
  grpc::Status Submit(const v1::SubmitRequest& request, v1::Job* job) {
    Call call;
    return server_->jobs().Submit(&call, request, job);
  }
  v1::Job Get(const std::string& name) {
    v1::JobRequest request;
    request.set_name(name);
    v1::Job job;
    Call call;
    const grpc::Status status = server_->jobs().Get(&call, request, &job);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return job;
  }

  std::string folder_;
  std::unique_ptr<Server> server_;
};

// One rank's Pull stream.
class Puller {
 public:
  Puller(Server* server, const FakeWorker& trainer, const v1::TrainerDirective& run,
         uint64_t first_step, uint64_t credit) {
    SetDeadline(&context_, kCall);
    stream_ = server->batches().Pull(&context_);
    v1::PullRequest request;
    v1::PullRequest::Open* open = request.mutable_open();
    *open->mutable_worker() = trainer.id();
    open->set_job(run.job().job());
    open->set_generation(run.generation());
    open->set_rank(run.rank());
    open->set_first_step(first_step);
    request.set_credit_bytes(credit);
    stream_->Write(request);
  }
  ~Puller() { context_.TryCancel(); }
  bool Read(v1::PullReply* reply) { return stream_->Read(reply); }
  void Credit(uint64_t bytes) {
    v1::PullRequest request;
    request.set_credit_bytes(bytes);
    stream_->Write(request);
  }
  grpc::Status Finish() { return stream_->Finish(); }

  // The deal of the next step and the digest of its packs; checks what arrives.
  v1::StepReport ReadStep(uint64_t step, uint64_t generation, uint64_t* bytes) {
    v1::PullReply deal;
    EXPECT_TRUE(Read(&deal));
    EXPECT_EQ(deal.deal().step(), step);
    EXPECT_EQ(deal.deal().packs(), static_cast<uint32_t>(kG));
    std::vector<std::pair<uint64_t, uint64_t>> packs;
    *bytes = 0;
    for (const uint64_t ordinal : deal.deal().ranks(0).ordinals()) {
      v1::PullReply frame;
      EXPECT_TRUE(Read(&frame));
      EXPECT_EQ(frame.header().window(), ordinal / kPacksPerWindow);
      EXPECT_EQ(frame.header().index(), ordinal % kPacksPerWindow);
      EXPECT_EQ(frame.payload(), Payload(frame.header().window(), frame.header().index()));
      packs.emplace_back(ordinal, frame.header().content_hash());
      *bytes += frame.ByteSizeLong();
    }
    v1::StepReport report;
    report.set_generation(generation);
    report.set_step(step);
    report.set_packs(kG);
    report.set_packs_digest(PacksDigest(packs));
    report.set_samples(4);
    report.set_valid_examples(4);
    report.set_loss(1.5);
    return report;
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::PullRequest, v1::PullReply>> stream_;
};

grpc::Status Report(Server* server, const FakeWorker& trainer, const v1::StepReport& step) {
  v1::ReportStepsRequest request;
  *request.mutable_worker() = trainer.id();
  request.set_job("job");
  request.set_generation(step.generation());
  *request.add_steps() = step;
  google::protobuf::Empty empty;
  Call call;
  return server->fleet().ReportSteps(&call, request, &empty);
}

TEST_F(ServerTest, FromSubmitToCommittedStepsAndOnAfterARestart) {
  v1::Job job;
  const grpc::Status submitted = Submit(Spec("r1"), &job);
  ASSERT_TRUE(submitted.ok()) << submitted.error_message();
  {
    FakePacker packer(server_.get(), "packer");
    FakeWorker trainer(server_.get(), "trainer", v1::TRAINER);
    const v1::TrainerDirective run = trainer.WaitForRun();
    EXPECT_EQ(run.source_rank(), -1);
    Puller puller(server_.get(), trainer, run, 1, 1 << 20);
    for (uint64_t step = 1; step <= 3; ++step) {
      uint64_t bytes = 0;
      v1::StepReport report = puller.ReadStep(step, run.generation(), &bytes);
      // A skipped step may have no finite loss.
      if (step == 2) report.set_loss(std::nanf(""));
      puller.Credit(bytes);
      EXPECT_TRUE(Report(server_.get(), trainer, report).ok());
      // The answer was lost: the same report again.
      EXPECT_TRUE(Report(server_.get(), trainer, report).ok());
    }
    EXPECT_EQ(Get("job").committed_step(), 3u);
    // A generation that is not the current one ends the stream.
    v1::TrainerDirective old = run;
    old.set_generation(run.generation() + 1);
    Puller stale(server_.get(), trainer, old, 1, 1 << 20);
    v1::PullReply reply;
    EXPECT_FALSE(stale.Read(&reply));
    EXPECT_EQ(stale.Finish().error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  }
  Restart();
  EXPECT_EQ(Get("job").committed_step(), 3u);
  FakePacker packer(server_.get(), "packer");
  FakeWorker trainer(server_.get(), "trainer", v1::TRAINER);
  const v1::TrainerDirective run = trainer.WaitForRun();
  // Nobody kept the weights and there is no checkpoint: from the beginning, with the same packs.
  EXPECT_EQ(run.committed_step(), 0u);
  Puller puller(server_.get(), trainer, run, 1, 1 << 20);
  uint64_t bytes = 0;
  EXPECT_TRUE(Report(server_.get(), trainer, puller.ReadStep(1, run.generation(), &bytes)).ok());
  EXPECT_EQ(Get("job").committed_step(), 1u);
}

TEST_F(ServerTest, ConsumerThatStopsHoldsOneStep) {
  v1::Job job;
  ASSERT_TRUE(Submit(Spec("r1"), &job).ok());
  FakePacker packer(server_.get(), "packer");
  FakeWorker trainer(server_.get(), "trainer", v1::TRAINER);
  const v1::TrainerDirective run = trainer.WaitForRun();
  // No credit: the first step comes because nothing is outstanding, the second waits.
  Puller puller(server_.get(), trainer, run, 1, 0);
  uint64_t bytes = 0;
  puller.ReadStep(1, run.generation(), &bytes);
  EXPECT_LT(server_->HeldBytes(), uint64_t{1} << 20);
  std::atomic<bool> second{false};
  std::thread reader([&] {
    uint64_t more = 0;
    puller.ReadStep(2, run.generation(), &more);
    second = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_FALSE(second);
  puller.Credit(bytes);
  reader.join();
  EXPECT_TRUE(second);
}

TEST_F(ServerTest, MalformedFrameEndsItsStreamAlone) {
  FakeWorker packer(server_.get(), "packer", v1::PACKER);
  for (const bool announced : {true, false}) {
    grpc::ClientContext context;
    SetDeadline(&context, kCall);
    auto push = server_->batches().Push(&context);
    v1::PushRequest message;
    if (announced) {
      *message.mutable_worker() = packer.id();
      push->Write(message);
    }
    // A frame whose header lies about its payload; as a first message it names no worker.
    message = MakePack("job", 0, 0, 1);
    message.mutable_header()->set_payload_bytes(3);
    push->Write(message);
    v1::PushReply reply;
    while (push->Read(&reply)) {
    }
    EXPECT_EQ(push->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  }
  v1::ListWorkersReply workers;
  Call call;
  ASSERT_TRUE(server_->jobs().ListWorkers(&call, {}, &workers).ok());
  EXPECT_EQ(workers.workers_size(), 1);
}

TEST_F(ServerTest, RepeatedMutationHasTheFirstOnesEffect) {
  v1::Job first, again;
  ASSERT_TRUE(Submit(Spec("r1"), &first).ok());
  ASSERT_TRUE(Submit(Spec("r1"), &again).ok());
  EXPECT_EQ(first.submitted_seconds(), again.submitted_seconds());
  EXPECT_EQ(Submit(Spec("r2"), &again).error_code(), grpc::StatusCode::ALREADY_EXISTS);
  Restart();
  EXPECT_TRUE(Submit(Spec("r1"), &again).ok());
  v1::JobMutation cancel;
  cancel.set_request_id("c1");
  cancel.set_name("job");
  for (int i = 0; i < 2; ++i) {
    Call call;
    EXPECT_TRUE(server_->jobs().Cancel(&call, cancel, &again).ok());
    EXPECT_EQ(again.state(), v1::CANCELLED);
  }
}

TEST_F(ServerTest, FaultyFieldsAreNamed) {
  v1::SubmitRequest request = Spec("r1");
  request.mutable_spec()->mutable_packing()->set_sequence_length(3);
  request.mutable_spec()->mutable_optimizer()->set_lr(std::nan(""));
  v1::Job job;
  const grpc::Status status = Submit(request, &job);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  std::set<std::string> fields;
  for (const FieldViolation& violation : FieldViolationsOf(FromGrpcStatus(status))) {
    fields.insert(violation.path);
  }
  EXPECT_EQ(fields, (std::set<std::string>{"packing.sequence_length", "optimizer.lr"}));
}

TEST_F(ServerTest, CheckpointFolderMustBeWritable) {
  v1::SubmitRequest request = Spec("r1");
  request.mutable_spec()->mutable_checkpoints()->set_directory("/proc/navit");
  v1::Job job;
  const grpc::Status status = Submit(request, &job);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("checkpoints.directory"));
}

TEST_F(ServerTest, CallsWithoutDeadlineAreRefused) {
  grpc::ClientContext at_once, waiting;
  v1::ListReply list;
  EXPECT_EQ(server_->jobs().List(&at_once, {}, &list).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  v1::Work work;
  EXPECT_EQ(server_->fleet().LeaseWork(&waiting, {}, &work).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ServerTest, ReleasesThatDoNotWorkTogetherAreRefused) {
  const std::pair<const char*, grpc::StatusCode> cases[] = {
      {Version(), grpc::StatusCode::OK},
      {"0.0.9", grpc::StatusCode::OK},
      {"0.2.0", grpc::StatusCode::FAILED_PRECONDITION},
      {"7.0.0", grpc::StatusCode::FAILED_PRECONDITION},
      {"seven", grpc::StatusCode::INVALID_ARGUMENT},
  };
  for (const auto& [version, code] : cases) {
    v1::RegisterRequest request;
    request.mutable_worker()->set_name("w");
    request.mutable_worker()->set_incarnation(1);
    request.set_role(v1::PACKER);
    request.set_version(version);
    v1::RegisterReply reply;
    Call call;
    EXPECT_EQ(server_->fleet().Register(&call, request, &reply).error_code(), code) << version;

    Call list;
    list.context.AddMetadata(kVersionMetadata, version);
    v1::ListReply jobs;
    EXPECT_EQ(server_->jobs().List(&list, {}, &jobs).error_code(), code) << version;
  }
}

TEST_F(ServerTest, UnknownWorkersAndJobsAreNotFound) {
  v1::LeaseWorkRequest lease;
  lease.mutable_worker()->set_name("nobody");
  v1::Work work;
  Call lease_call, get_call;
  EXPECT_EQ(server_->fleet().LeaseWork(&lease_call, lease, &work).error_code(),
            grpc::StatusCode::NOT_FOUND);
  v1::JobRequest request;
  request.set_name("none");
  v1::Job job;
  EXPECT_EQ(server_->jobs().Get(&get_call, request, &job).error_code(),
            grpc::StatusCode::NOT_FOUND);
  grpc::ClientContext watch_context;
  SetDeadline(&watch_context, kCall);
  auto watch = server_->jobs().Watch(&watch_context, request);
  EXPECT_FALSE(watch->Read(&job));
  EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(ServerTest, WatchEndsWithTheFinalState) {
  v1::Job job;
  ASSERT_TRUE(Submit(Spec("r1"), &job).ok());
  grpc::ClientContext context;
  SetDeadline(&context, kCall);
  v1::JobRequest request;
  request.set_name("job");
  auto watch = server_->jobs().Watch(&context, request);
  ASSERT_TRUE(watch->Read(&job));
  EXPECT_EQ(job.state(), v1::QUEUED);
  v1::JobMutation cancel;
  cancel.set_request_id("c1");
  cancel.set_name("job");
  Call call;
  v1::Job cancelled;
  ASSERT_TRUE(server_->jobs().Cancel(&call, cancel, &cancelled).ok());
  while (watch->Read(&job)) {
  }
  EXPECT_EQ(job.state(), v1::CANCELLED);
  EXPECT_TRUE(watch->Finish().ok());
}

TEST_F(ServerTest, MetricsHaveTheJobAndNoExportedLabel) {
  v1::Job job;
  ASSERT_TRUE(Submit(Spec("r1"), &job).ok());
  std::set<std::string> names;
  for (const prometheus::MetricFamily& family : server_->Metrics()) {
    names.insert(family.name);
    for (const prometheus::ClientMetric& metric : family.metric) {
      for (const auto& label : metric.label) {
        EXPECT_NE(label.name, "job");
        EXPECT_NE(label.name, "instance");
      }
    }
  }
  for (const char* name : {"navit_jobs", "navit_workers", "navit_leases", "navit_step",
                           "navit_rpc_duration_seconds", "navit_relay_bytes_total"}) {
    EXPECT_TRUE(names.count(name)) << name;
  }
}

}  // namespace
}  // namespace navit
