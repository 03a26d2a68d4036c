// The coordinator with a store in memory, and workers played by hand: one packer, one trainer, one
// job that both can serve.
#ifndef NAVIT_SERVER_CORE_COORDINATOR_FIXTURE_H_
#define NAVIT_SERVER_CORE_COORDINATOR_FIXTURE_H_

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "common/packs_digest.h"
#include "server/core/coordinator.h"

namespace navit {

class MemoryStore : public EventStore {
 public:
  absl::Status Load(const std::function<absl::Status(const v1::Event&)>& apply) override {
    for (const v1::Event& event : events) {
      if (absl::Status status = apply(event); !status.ok()) return status;
    }
    return absl::OkStatus();
  }
  absl::Status Append(absl::Span<const v1::Event> more) override {
    if (fails) return absl::InternalError("disk full");
    if (refuses) return absl::InvalidArgumentError("too large");
    events.insert(events.end(), more.begin(), more.end());
    return absl::OkStatus();
  }
  std::vector<v1::Event> events;
  bool fails = false;
  bool refuses = false;
};

class CoordinatorTest : public testing::Test {
 protected:
  explicit CoordinatorTest(CoordinatorOptions options = {}) : c_(std::move(options), &store_) {
    packer_.set_name("p");
    packer_.set_incarnation(1);
    trainer_.set_name("t");
    trainer_.set_incarnation(1);
    v1::JobSpec& spec = *submit_.mutable_spec();
    spec.mutable_data()->add_validation();
    spec.set_name("j");
    spec.mutable_packing()->set_sequences_per_step(1);
    spec.mutable_packing()->set_max_examples_per_sequence(1);
    spec.mutable_packing()->set_window_samples(16);
    spec.mutable_packing()->set_windows_per_group(1);
    spec.mutable_packing()->set_plan_version(1);
    spec.mutable_data()->add_train()->set_weight(1);
    spec.mutable_train_for()->set_epochs(1);
    spec.mutable_workers()->mutable_trainers()->set_min(1);
    spec.mutable_workers()->mutable_trainers()->set_max(1);
    spec.mutable_workers()->mutable_packers()->set_min(1);
    spec.mutable_workers()->mutable_packers()->set_max(8);
    spec.mutable_checkpoints()->set_keep_last(2);
    spec.mutable_budgets()->set_recoveries_without_progress(5);
    spec.mutable_budgets()->set_relay_bytes(1 << 20);
    spec.mutable_timeouts()->set_heartbeat_seconds(5);
    spec.mutable_timeouts()->set_lease_seconds(10);
  }
  void SetUp() override {
    ASSERT_TRUE(c_.Start(now_).ok());
    v1::RegisterRequest request;
    *request.mutable_worker() = packer_;
    request.set_role(v1::PACKER);
    request.set_packs_address("p:7442");
    ASSERT_TRUE(c_.Register(request, now_).ok());
    *request.mutable_worker() = trainer_;
    request.set_role(v1::TRAINER);
    ASSERT_TRUE(c_.Register(request, now_).ok());
    Report(v1::TrainerState::IDLE, 0);
    ASSERT_TRUE(c_.Submit(submit_, now_).ok());
  }
  void Report(v1::TrainerState::Kind kind, uint64_t generation) {
    v1::WorkerReport report;
    *report.mutable_worker() = trainer_;
    report.mutable_trainer()->set_kind(kind);
    report.mutable_trainer()->set_generation(generation);
    if (kind != v1::TrainerState::IDLE) {
      const auto directive = c_.DirectiveFor(trainer_, now_);
      report.mutable_trainer()->set_job("j");
      report.mutable_trainer()->set_job_uid(directive->trainer().job().job_uid());
    }
    ASSERT_TRUE(c_.OnReport(report, now_).ok());
  }
  // One more packer.
  v1::WorkerId AddPacker(const std::string& name) {
    v1::RegisterRequest request;
    request.mutable_worker()->set_name(name);
    request.mutable_worker()->set_incarnation(1);
    request.set_role(v1::PACKER);
    EXPECT_TRUE(c_.Register(request, now_).ok());
    return request.worker();
  }
  // Does every piece of work there is: two shards of 16 samples each, train and validation; every
  // window has 3 packs.
  void Work() { Work(packer_); }
  void Work(const v1::WorkerId& packer) {
    for (;;) {
      const auto work = c_.LeaseWork(packer, now_);
      ASSERT_TRUE(work.ok());
      if (work->lease_epoch() == 0) return;
      v1::FinishWorkRequest request;
      *request.mutable_worker() = packer;
      request.set_lease_epoch(work->lease_epoch());
      if (work->has_expand_shards()) {
        request.mutable_shards()->add_train("a");
        request.mutable_shards()->add_train_datasets(1);
        request.mutable_shards()->add_validation("b");
      } else if (work->has_index_shard()) {
        request.mutable_shard()->set_path(work->index_shard().shard());
        request.mutable_shard()->set_samples(16);
      } else if (work->has_audit()) {
        for (uint64_t w : work->audit().windows()) {
          auto* window = request.mutable_audited()->add_windows();
          window->set_window(w);
          window->set_digest(77);
          for (uint32_t n : {6, 5, 5}) window->add_pack_samples(n);
          for (uint64_t s = 0; s < 16; ++s) {
            window->add_samples(s);
            window->add_epochs(0);
          }
        }
      } else {
        leased_[work->lease_epoch()] = work->window();
        request.mutable_plan()->set_packs(3);
        request.mutable_plan()->set_digest(77);
        request.mutable_plan()->set_plan_version(1);
      }
      ASSERT_TRUE(c_.FinishWork(request, now_).ok());
      ASSERT_TRUE(c_.FinishWork(request, now_).ok());  // As if its answer was lost.
    }
  }
  // Makes every pack that is granted.
  void Push() {
    const auto reply = c_.NextGrants(packer_, stream_, now_);
    ASSERT_TRUE(reply.ok());
    for (const auto& grant : reply->grants()) {
      for (uint32_t index : grant.indexes()) {
        v1::PackHeader header;
        header.set_job("j");
        header.set_lease_epoch(grant.lease_epoch());
        header.set_split(leased_[grant.lease_epoch()].split());
        header.set_window(leased_[grant.lease_epoch()].window());
        header.set_index(index);
        header.set_content_hash(index + 1);
        const auto verdict = c_.OnPack(packer_, header, 100, now_);
        ASSERT_TRUE(verdict.ok()) << verdict.status();
        EXPECT_TRUE(verdict->keep);
        EXPECT_FALSE(c_.OnPack(packer_, header, 100, now_)->keep);
      }
    }
  }
  // The job runs, and its windows are planned.
  void StartGeneration() {
    Work();
    c_.Tick(now_);
    Report(v1::TrainerState::JOINED, 1);
    Report(v1::TrainerState::RUNNING, 1);
    ASSERT_EQ(c_.Get("j")->state(), v1::RUNNING);
    stream_ = *c_.OpenPush(packer_, now_);
    Work();
  }
  void OpenGeneration() {
    StartGeneration();
    Push();
  }

  // A report of step `step` of generation 1 with the packs that rank 0 was dealt.
  void AddStep(uint64_t step, v1::ReportStepsRequest* request) {
    const auto next = c_.NextStep("j", 1, 0, step);
    ASSERT_EQ(next->kind, StepForRank::kReady);
    ASSERT_EQ(next->packs.size(), 1u);
    v1::StepReport* report = request->add_steps();
    report->set_generation(1);
    report->set_step(step);
    report->set_packs(1);
    report->set_packs_digest(PacksDigest({{step - 1, next->packs[0].index + 1}}));
  }

  Instant now_{100, 1000};
  MemoryStore store_;
  Coordinator c_;
  v1::WorkerId packer_, trainer_;
  v1::SubmitRequest submit_;
  uint64_t stream_ = 0;
  std::map<uint64_t, v1::WindowLease> leased_;
};

}  // namespace navit

#endif  // NAVIT_SERVER_CORE_COORDINATOR_FIXTURE_H_
