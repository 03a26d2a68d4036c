// Direct delivery: packs that stay with packers, and what happens when a trainer cannot fetch them.
#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "server/core/coordinator_fixture.h"

namespace navit {
namespace {

// Of the fixture's packer.
constexpr char kAddress[] = "p:7442";

CoordinatorOptions Options() {
  CoordinatorOptions options;
  options.direct_above_bytes_per_second = 50;
  return options;
}

class DirectTest : public CoordinatorTest {
 protected:
  DirectTest() : CoordinatorTest(Options()) {
    submit_.mutable_spec()->mutable_train_for()->clear_epochs();
    submit_.mutable_spec()->mutable_train_for()->set_steps(30);
  }
  void Run(v1::WorkersSpec::Delivery delivery) {
    submit_.mutable_spec()->mutable_workers()->set_delivery(delivery);
  }
  void SetUp() override {}
  void Begin() {
    CoordinatorTest::SetUp();
    StartGeneration();
  }
  // Delivers what is granted, directly where that is allowed; returns (packs, direct packs).
  std::pair<size_t, size_t> Deliver() {
    const auto reply = c_.NextGrants(packer_, stream_, now_);
    EXPECT_TRUE(reply.ok());
    std::pair<size_t, size_t> packs;
    for (const auto& drop : reply->drops()) drops_ += drop.indexes_size();
    for (const auto& grant : reply->grants()) {
      for (const uint32_t index : grant.indexes()) {
        v1::PackHeader header;
        header.set_job("j");
        header.set_lease_epoch(grant.lease_epoch());
        header.set_window(leased_[grant.lease_epoch()].window());
        header.set_index(index);
        header.set_content_hash(index + 1);
        const auto verdict = c_.OnPack(packer_, header, 100, now_, grant.direct());
        EXPECT_TRUE(verdict.ok() && verdict->keep) << verdict.status();
        ++packs.first;
        packs.second += grant.direct() ? 1 : 0;
      }
    }
    return packs;
  }
  void Commit(uint64_t step) {
    v1::ReportStepsRequest request;
    *request.mutable_worker() = trainer_;
    request.set_job("j");
    request.set_generation(1);
    AddStep(step, &request);
    ASSERT_TRUE(c_.ReportSteps(request, now_).ok());
    Work();
  }
  v1::PullRequest::Open Open() {
    v1::PullRequest::Open open;
    *open.mutable_worker() = trainer_;
    open.set_job("j");
    open.set_generation(1);
    open.set_first_step(1);
    open.set_takes_sources(true);
    return open;
  }
  bool Ready(uint64_t step) { return c_.NextStep("j", 1, 0, step)->kind == StepForRank::kReady; }

  size_t drops_ = 0;
};

TEST_F(DirectTest, PacksStayAndAreDroppedWhenTheirStepIsCommitted) {
  Run(v1::WorkersSpec::DIRECT);
  Begin();
  const auto packs = Deliver();
  EXPECT_GT(packs.first, 0u);
  EXPECT_EQ(packs.second, packs.first);
  EXPECT_EQ(c_.counters().packs_direct, packs.first);
  ASSERT_TRUE(c_.OpenPull(Open(), now_).ok());
  EXPECT_EQ(c_.NextStep("j", 1, 0, 1)->bytes, 100u);
  Commit(1);
  Deliver();
  EXPECT_EQ(drops_, 1u);
}

TEST_F(DirectTest, IsChosenOnceTheRelayCarriesTooMuch) {
  Run(v1::WorkersSpec::AUTO);
  Begin();
  const auto packs = Deliver();
  ASSERT_GE(packs.first, 5u);
  EXPECT_EQ(packs.second, 0u);
  // All but the first one were counted since the measurement began: over 50 bytes per second.
  now_.steady += 6;
  Commit(1);
  EXPECT_EQ(Deliver(), std::make_pair(size_t{1}, size_t{0}));
  Commit(2);
  EXPECT_EQ(Deliver(), std::make_pair(size_t{1}, size_t{1}));
}

TEST_F(DirectTest, IsNotChosenBelow) {
  Run(v1::WorkersSpec::AUTO);
  Begin();
  Deliver();
  now_.steady += 40;
  for (uint64_t step = 1; step <= 3; ++step) {
    Commit(step);
    EXPECT_EQ(Deliver().second, 0u) << step;
  }
}

TEST_F(DirectTest, PacksOfAPackerOutOfReachComeThroughTheRelay) {
  Run(v1::WorkersSpec::DIRECT);
  Begin();
  const auto packs = Deliver();
  ASSERT_TRUE(Ready(1));
  v1::PullRequest::Open open = Open();
  open.add_failed_sources(kAddress);
  ASSERT_TRUE(c_.OpenPull(open, now_).ok());
  EXPECT_FALSE(Ready(1));
  EXPECT_EQ(c_.counters().direct_fallbacks, 1u);
  EXPECT_EQ(Deliver(), std::make_pair(packs.first, size_t{0}));
  EXPECT_EQ(drops_, packs.first);
  EXPECT_TRUE(Ready(1));
  // Said again, by the same trainer or another one: known.
  ASSERT_TRUE(c_.OpenPull(open, now_).ok());
  EXPECT_TRUE(Ready(1));
  EXPECT_EQ(c_.counters().direct_fallbacks, 1u);
}

TEST_F(DirectTest, ATrainerOfTheVersionBeforeGetsThemThroughTheRelay) {
  Run(v1::WorkersSpec::DIRECT);
  Begin();
  const auto packs = Deliver();
  v1::PullRequest::Open open = Open();
  open.set_takes_sources(false);
  ASSERT_TRUE(c_.OpenPull(open, now_).ok());
  EXPECT_FALSE(Ready(1));
  EXPECT_EQ(Deliver(), std::make_pair(packs.first, size_t{0}));
}

TEST_F(DirectTest, WhatAPackerKeptGoesWithItsStream) {
  Run(v1::WorkersSpec::DIRECT);
  Begin();
  const auto packs = Deliver();
  ASSERT_TRUE(Ready(1));
  c_.ClosePush(packer_, stream_);
  EXPECT_FALSE(Ready(1));
  stream_ = *c_.OpenPush(packer_, now_);
  EXPECT_EQ(Deliver(), packs);
  EXPECT_TRUE(Ready(1));
}

TEST_F(DirectTest, NobodyWantsACopyThatComesSecond) {
  Run(v1::WorkersSpec::DIRECT);
  Begin();
  Deliver();
  v1::PackHeader header;
  header.set_job("j");
  header.set_lease_epoch(leased_.begin()->first);
  for (const auto& [epoch, window] : leased_) {
    if (window.split() == v1::SPLIT_TRAIN) header.set_lease_epoch(epoch);
  }
  header.set_window(leased_[header.lease_epoch()].window());
  header.set_content_hash(1);
  const auto verdict = c_.OnPack(packer_, header, 100, now_, /*direct=*/true);
  ASSERT_TRUE(verdict.ok()) << verdict.status();
  EXPECT_FALSE(verdict->keep);
  Deliver();
  EXPECT_EQ(drops_, 1u);
}

TEST_F(DirectTest, RelayMeansRelay) {
  Run(v1::WorkersSpec::RELAY);
  Begin();
  EXPECT_EQ(Deliver().second, 0u);
}

}  // namespace
}  // namespace navit
