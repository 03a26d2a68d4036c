// Which packers get a job's windows: at most workers.packers.max of them, and never fewer than
// could.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/core/coordinator_fixture.h"

namespace navit {
namespace {

// Many windows of three packs, some of which are wanted at a time.
class PackersTest : public CoordinatorTest {
 protected:
  PackersTest() {
    submit_.mutable_spec()->mutable_train_for()->clear_epochs();
    submit_.mutable_spec()->mutable_train_for()->set_steps(300);
    submit_.mutable_spec()->mutable_packing()->set_windows_per_group(4);
  }
  void SetUp() override {}
  void Begin(uint32_t max) {
    submit_.mutable_spec()->mutable_workers()->mutable_packers()->set_max(max);
    CoordinatorTest::SetUp();
    stream_ = *c_.OpenPush(packer_, now_);
    Work();
    c_.Tick(now_);
    Report(v1::TrainerState::JOINED, 1);
    Report(v1::TrainerState::RUNNING, 1);
    c_.Tick(now_);
  }
  v1::WorkerId Add(const std::string& name) {
    const v1::WorkerId packer = AddPacker(name);
    EXPECT_TRUE(c_.OpenPush(packer, now_).ok());
    return packer;
  }
  // The packer's next window; a lease without a number is none.
  v1::Work Ask(const v1::WorkerId& packer) {
    const auto work = c_.LeaseWork(packer, now_);
    EXPECT_TRUE(work.ok()) << work.status();
    EXPECT_TRUE(work->lease_epoch() == 0 || work->has_window());
    if (work->lease_epoch() != 0) held_[packer.name()].push_back(work->lease_epoch());
    return *work;
  }
  bool Gets(const v1::WorkerId& packer) { return Ask(packer).lease_epoch() != 0; }
  void Finish(const v1::WorkerId& packer, const v1::Work& work, bool fails) {
    v1::FinishWorkRequest request;
    *request.mutable_worker() = packer;
    request.set_lease_epoch(work.lease_epoch());
    if (fails) {
      request.mutable_failure()->set_message("cannot read");
    } else {
      request.mutable_plan()->set_packs(3);
      request.mutable_plan()->set_digest(77);
      request.mutable_plan()->set_plan_version(1);
    }
    ASSERT_TRUE(c_.FinishWork(request, now_).ok());
  }
  // Time in which these packers and the trainer are alive and keep what they hold.
  void Pass(double seconds, const std::vector<v1::WorkerId>& alive, bool renew = true) {
    for (const double end = now_.steady + seconds; now_.steady < end;) {
      now_.steady += 0.5;
      for (const v1::WorkerId& packer : alive) {
        v1::WorkerReport report;
        *report.mutable_worker() = packer;
        for (uint64_t epoch : held_[packer.name()]) {
          if (renew) report.add_lease_epochs(epoch);
        }
        ASSERT_TRUE(c_.OnReport(report, now_).ok());
      }
      Report(v1::TrainerState::RUNNING, 1);
      c_.Tick(now_);
    }
  }

  std::map<std::string, std::vector<uint64_t>> held_;
};

TEST_F(PackersTest, WindowsGoToAtMostMaxPackersAndALostOneIsReplaced) {
  Begin(2);
  const v1::WorkerId q = Add("q");
  const v1::WorkerId r = Add("r");
  // The first two share the four windows that are wanted.
  const std::vector<v1::WorkerId> takers = {packer_, q, q, packer_};
  std::vector<v1::Work> works;
  for (const v1::WorkerId& packer : takers) {
    works.push_back(Ask(packer));
    ASSERT_NE(works.back().lease_epoch(), 0u);
    EXPECT_FALSE(works.size() >= 2 && Gets(r));
    EXPECT_FALSE(works.size() == 3 && Gets(q)) << "it has its share";
  }
  for (size_t i = 0; i < takers.size(); ++i) Finish(takers[i], works[i], /*fails=*/false);
  // q is heard of no more.
  Pass(4, {packer_, r});
  EXPECT_FALSE(Gets(r));
  Pass(16, {packer_, r});
  EXPECT_TRUE(Gets(r));
  Add("q");
  EXPECT_FALSE(Gets(q)) << "it is back too late";
}

TEST_F(PackersTest, ALatePackerIsReplaced) {
  Begin(1);
  const v1::WorkerId q = Add("q");
  const v1::Work late = Ask(packer_);
  ASSERT_NE(late.lease_epoch(), 0u);
  EXPECT_FALSE(Gets(q));
  Pass(4, {packer_, q});
  EXPECT_FALSE(Gets(q));
  Pass(2, {packer_, q});
  const v1::Work second = Ask(q);
  EXPECT_EQ(second.window().window(), late.window().window());
  EXPECT_NE(second.lease_epoch(), 0u);
  EXPECT_FALSE(Gets(packer_)) << "two windows wait, for q";
  EXPECT_TRUE(Gets(q));
  // What it has it may finish.
  Finish(packer_, late, /*fails=*/false);
}

// A packer that is stopped with what it owes is late before it is lost, if the job is patient.
TEST_F(PackersTest, APackerIsLostWhenItsJobSaysSo) {
  submit_.mutable_spec()->mutable_timeouts()->set_heartbeat_seconds(60);
  submit_.mutable_spec()->mutable_timeouts()->set_lease_seconds(90);
  Begin(2);
  Add("q");
  const auto lost = [&] {
    return c_.counters().workers_lost.count({v1::PACKER, "heartbeat"}) == 0
               ? 0
               : c_.counters().workers_lost.at({v1::PACKER, "heartbeat"});
  };
  // A packer of the job, also between two windows.
  Finish(packer_, Ask(packer_), /*fails=*/true);
  Pass(20, {});
  EXPECT_EQ(lost(), 1u) << "q, which has nothing of the job";
  Pass(50, {});
  EXPECT_EQ(lost(), 2u);
}

TEST_F(PackersTest, WhatFailedOnAPackerGoesToAnotherOneInItsPlace) {
  Begin(1);
  const v1::WorkerId q = Add("q");
  const v1::Work failed = Ask(packer_);
  const v1::Work other = Ask(packer_);
  Finish(packer_, failed, /*fails=*/true);
  const v1::Work again = Ask(q);
  ASSERT_NE(again.lease_epoch(), 0u);
  EXPECT_EQ(again.window().window(), failed.window().window());
  EXPECT_FALSE(Gets(packer_));
  Finish(packer_, other, /*fails=*/false);
}

TEST_F(PackersTest, APackerThatDrainsDoesNotKeepAWindowFromTheOnlyOther) {
  Begin(2);
  Add("q");
  ASSERT_TRUE(c_.SetDrained("q", true, now_).ok());
  const v1::Work failed = Ask(packer_);
  Finish(packer_, failed, /*fails=*/true);
  EXPECT_EQ(Ask(packer_).window().window(), failed.window().window());
}

TEST_F(PackersTest, APackerThatWorksForOthersGivesItsPlace) {
  Begin(1);
  const v1::WorkerId q = Add("q");
  ASSERT_TRUE(Gets(packer_));
  // It lives and asks for nothing, and its windows run out.
  Pass(4, {packer_, q}, /*renew=*/false);
  EXPECT_FALSE(Gets(q));
  Pass(8, {packer_, q}, /*renew=*/false);
  EXPECT_TRUE(Gets(q));
  EXPECT_FALSE(Gets(packer_));
}

TEST_F(PackersTest, ADrainedPackerGivesItsPlaceAtOnce) {
  Begin(1);
  const v1::WorkerId q = Add("q");
  ASSERT_TRUE(Gets(packer_));
  EXPECT_FALSE(Gets(q));
  ASSERT_TRUE(c_.SetDrained("p", true, now_).ok());
  EXPECT_TRUE(Gets(q));
}

TEST_F(PackersTest, ALoweredMaxTakesPlaces) {
  Begin(2);
  const v1::WorkerId q = Add("q");
  ASSERT_TRUE(Gets(packer_));
  ASSERT_TRUE(Gets(q));
  v1::UpdateRequest request;
  request.set_request_id("r");
  request.set_name("j");
  v1::JobSpec spec = c_.Get("j")->spec();
  spec.mutable_workers()->mutable_packers()->set_max(1);
  ASSERT_TRUE(c_.Update(request, spec, now_).ok());
  EXPECT_FALSE(Gets(q));
  EXPECT_TRUE(Gets(packer_));
}

TEST_F(PackersTest, ShardsAreIndexedByAll) {
  submit_.mutable_spec()->mutable_workers()->mutable_packers()->set_max(1);
  CoordinatorTest::SetUp();
  const auto list = c_.LeaseWork(packer_, now_);
  ASSERT_TRUE(list->has_expand_shards());
  v1::FinishWorkRequest request;
  *request.mutable_worker() = packer_;
  request.set_lease_epoch(list->lease_epoch());
  request.mutable_shards()->add_train("a");
  request.mutable_shards()->add_train("b");
  request.mutable_shards()->add_train_datasets(2);
  ASSERT_TRUE(c_.FinishWork(request, now_).ok());
  EXPECT_TRUE(c_.LeaseWork(packer_, now_)->has_index_shard());
  EXPECT_TRUE(c_.LeaseWork(Add("q"), now_)->has_index_shard());
}

}  // namespace
}  // namespace navit
