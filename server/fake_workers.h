// Workers that only speak the protocol with a Server: no image is read and no weight is held.
#ifndef NAVIT_SERVER_FAKE_WORKERS_H_
#define NAVIT_SERVER_FAKE_WORKERS_H_

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "common/packs_digest.h"
#include "common/version.h"
#include "server/server_fixture.h"

namespace navit {

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

inline std::string Payload(uint64_t window, uint32_t index) {
  return std::string(1000 + index, static_cast<char>('a' + window % 26));
}

inline v1::PushRequest MakePack(const std::string& job, uint64_t window, uint32_t index,
                                uint64_t lease) {
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

// Takes any work and delivers it at once; pushes exactly what is granted, once `may_push` says so.
class FakePacker : public FakeWorker {
 public:
  FakePacker(Server* server, const std::string& name, absl::Notification* may_push = nullptr)
      : FakeWorker(server, name, v1::PACKER), server_(server), may_push_(may_push) {
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
    if (may_push_ != nullptr) may_push_->WaitForNotification();
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
  absl::Notification* const may_push_;
  std::atomic<bool> stop_{false};
  grpc::ClientContext push_context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::PushRequest, v1::PushReply>> push_;
  absl::Mutex mutex_;
  std::map<uint64_t, std::pair<std::string, uint64_t>> windows_ ABSL_GUARDED_BY(mutex_);
  std::thread work_;
  std::thread grants_;
};

// One rank's Pull stream.
class Puller {
 public:
  Puller(Server* server, const FakeWorker& trainer, const v1::TrainerDirective& run,
         uint64_t first_step, uint64_t credit)
      : batches_(server->OwnBatches()) {
    SetDeadline(&context_, kCall);
    stream_ = batches_->Pull(&context_);
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
  const std::unique_ptr<v1::Batches::Stub> batches_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::PullRequest, v1::PullReply>> stream_;
};

inline grpc::Status Report(Server* server, const FakeWorker& trainer, const v1::StepReport& step) {
  v1::ReportStepsRequest request;
  *request.mutable_worker() = trainer.id();
  request.set_job("job");
  request.set_generation(step.generation());
  *request.add_steps() = step;
  google::protobuf::Empty empty;
  Call call;
  return server->fleet().ReportSteps(&call, request, &empty);
}

}  // namespace navit

#endif  // NAVIT_SERVER_FAKE_WORKERS_H_
