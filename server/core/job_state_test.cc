#include "server/core/job_state.h"

#include <gtest/gtest.h>

#include "server/core/durable_state.h"

namespace navit {
namespace {

class JobStateTest : public testing::Test {
 protected:
  JobStateTest() {
    spec_.set_name("j");
    spec_.mutable_packing()->set_sequences_per_step(2);
    spec_.mutable_packing()->set_window_samples(16);
    spec_.mutable_packing()->set_windows_per_group(2);
    spec_.mutable_data()->add_train()->set_weight(1);
    spec_.mutable_train_for()->set_epochs(1);
    spec_.mutable_checkpoints()->set_keep_last(2);
  }
  v1::Event Of() {
    v1::Event event;
    event.set_job("j");
    event.set_seconds(++seconds_);
    return event;
  }
  absl::Status Apply(const v1::Event& event) {
    const absl::Status status = state_.Apply(event);
    if (status.ok()) log_.push_back(event);
    return status;
  }
  void Submit() {
    v1::Event event = Of();
    *event.mutable_job_submitted()->mutable_spec() = spec_;
    event.mutable_job_submitted()->set_job_uid(9);
    ASSERT_TRUE(Apply(event).ok());
  }
  void Freeze(uint64_t samples) {
    v1::Event event = Of();
    event.mutable_manifest_frozen()->set_hash("h");
    v1::DataManifest* manifest = event.mutable_manifest_frozen()->mutable_manifest();
    manifest->set_train_samples(samples);
    manifest->add_train_datasets()->set_samples(samples);
    ASSERT_TRUE(Apply(event).ok());
  }
  absl::Status Plan(uint64_t group, uint64_t first_pack, std::vector<uint32_t> packs) {
    v1::Event event = Of();
    v1::GroupPlanned* planned = event.mutable_group_planned();
    planned->set_group(group);
    planned->set_first_pack(first_pack);
    planned->set_first_sample(group * 32);
    for (uint32_t n : packs) {
      planned->add_window_packs(n);
      planned->add_window_digests(n);
    }
    return Apply(event);
  }
  absl::Status Open(uint64_t generation, uint64_t step, std::vector<uint64_t> adopted = {}) {
    v1::Event event = Of();
    v1::GenerationOpened* opened = event.mutable_generation_opened();
    opened->set_generation(generation);
    opened->add_members("t");
    opened->add_member_incarnations(1);
    opened->set_committed_step(step);
    for (uint64_t s : adopted) opened->add_adopted()->set_step(s);
    return Apply(event);
  }
  absl::Status Commit(uint64_t generation, uint64_t step, uint64_t holes = 0) {
    v1::Event event = Of();
    event.mutable_steps_committed()->set_generation(generation);
    v1::StepReport* report = event.mutable_steps_committed()->add_steps();
    report->set_step(step);
    report->set_samples(10);
    report->set_holes(holes);
    return Apply(event);
  }
  absl::Status Checkpoint(uint64_t step, const std::string& path) {
    v1::Event event = Of();
    event.mutable_checkpoint_committed()->set_step(step);
    event.mutable_checkpoint_committed()->set_path(path);
    return Apply(event);
  }
  absl::Status SetState(v1::JobState state) {
    v1::Event event = Of();
    event.mutable_job_state_changed()->set_state(state);
    return Apply(event);
  }
  const JobState& job() { return *state_.Find("j"); }

  v1::JobSpec spec_;
  DurableState state_;
  std::vector<v1::Event> log_;
  double seconds_ = 100;
};

TEST_F(JobStateTest, KnowsTheLastStepOnceAllWindowsArePlanned) {
  Submit();
  Freeze(40);  // Windows of 16, 16 and 8 samples: groups of two and one.
  ASSERT_TRUE(Plan(0, 0, {2, 2}).ok());
  EXPECT_EQ(job().total_steps(), 0u);
  EXPECT_TRUE(job().Step(1).has_value());
  EXPECT_FALSE(job().Step(2).has_value());  // It might be the last one.
  EXPECT_FALSE(Plan(1, 4, {1, 1}).ok());    // One window is left, not two.
  EXPECT_FALSE(Plan(1, 5, {1}).ok());
  EXPECT_FALSE(Plan(2, 4, {1}).ok());
  ASSERT_TRUE(Plan(1, 4, {1}).ok());
  EXPECT_EQ(job().total_steps(), 3u);
  EXPECT_FALSE(job().Step(2)->last);
  EXPECT_TRUE(job().Step(3)->last);
  EXPECT_EQ(job().Step(3)->end, 5u);
  EXPECT_EQ(job().Step(4)->first, job().Step(4)->end);
  EXPECT_DOUBLE_EQ(job().Progress(2, 4), 32.0 / 40);
  EXPECT_DOUBLE_EQ(job().Progress(3, 5), 1.0);
}

TEST_F(JobStateTest, LedgerFollowsTheWeightsUpAndDown) {
  Submit();
  Freeze(40);
  ASSERT_TRUE(Plan(0, 0, {4, 4}).ok());
  ASSERT_TRUE(Open(1, 0).ok());
  EXPECT_FALSE(Commit(1, 2).ok());
  EXPECT_FALSE(Commit(2, 1).ok());
  ASSERT_TRUE(Commit(1, 1, 3).ok());
  ASSERT_TRUE(Commit(1, 2, 4).ok());
  EXPECT_EQ(job().sums().holes, 7u);
  ASSERT_TRUE(SetState(v1::RECOVERING).ok());
  EXPECT_FALSE(Open(1, 2).ok());  // Not a new generation.
  EXPECT_FALSE(Open(2, 3).ok());  // Step 3 has no record.
  ASSERT_TRUE(Open(2, 3, {3}).ok());
  EXPECT_EQ(job().committed_step(), 3u);
  EXPECT_EQ(job().recoveries_without_progress(), 0u);
  ASSERT_TRUE(SetState(v1::RECOVERING).ok());
  ASSERT_TRUE(Open(3, 1).ok());
  EXPECT_EQ(job().committed_step(), 1u);
  EXPECT_EQ(job().sums().holes, 3u);
  EXPECT_EQ(job().recoveries(), 2u);
  EXPECT_EQ(job().recoveries_without_progress(), 1u);
  EXPECT_EQ(job().state(), v1::RUNNING);
}

TEST_F(JobStateTest, NeverRollsBackBelowACheckpointAndKeepsTheNewest) {
  Submit();
  Freeze(40);
  ASSERT_TRUE(Open(1, 0).ok());
  for (uint64_t s = 1; s <= 4; ++s) ASSERT_TRUE(Commit(1, s).ok());
  EXPECT_FALSE(Checkpoint(5, "x").ok());
  ASSERT_TRUE(Checkpoint(1, "a").ok());
  ASSERT_TRUE(Checkpoint(2, "b").ok());
  ASSERT_TRUE(Checkpoint(3, "c").ok());
  EXPECT_EQ(job().checkpoints_to_remove(), std::vector<std::string>{"a"});
  EXPECT_FALSE(Checkpoint(2, "d").ok());
  EXPECT_FALSE(Open(2, 2).ok());
  EXPECT_TRUE(Open(2, 3).ok());
}

TEST_F(JobStateTest, KeepsTheNewestCheckpointsAndThoseOfEveryNthStep) {
  spec_.mutable_checkpoints()->set_keep_every_steps(2);  // keep_last is 2.
  Submit();
  Freeze(40);
  ASSERT_TRUE(Plan(0, 0, {4, 4}).ok());
  ASSERT_TRUE(Open(1, 0).ok());
  const std::vector<std::string> names = {"one", "two", "three", "four", "five"};
  std::vector<std::string> removed;
  for (uint64_t step = 1; step <= names.size(); ++step) {
    ASSERT_TRUE(Commit(1, step).ok());
    ASSERT_TRUE(Checkpoint(step, names[step - 1]).ok());
    for (const std::string& path : job().checkpoints_to_remove()) removed.push_back(path);
  }
  EXPECT_EQ(removed, (std::vector<std::string>{"one", "three"}));
  std::vector<std::string> kept;
  for (const CheckpointRecord& checkpoint : job().checkpoints()) kept.push_back(checkpoint.path);
  EXPECT_EQ(kept, (std::vector<std::string>{"two", "four", "five"}));
}

TEST_F(JobStateTest, ReplayGivesTheSameState) {
  Submit();
  Freeze(40);
  ASSERT_TRUE(Plan(0, 0, {2, 2}).ok());
  ASSERT_TRUE(Open(1, 0).ok());
  ASSERT_TRUE(Commit(1, 1).ok());
  ASSERT_TRUE(Checkpoint(1, "a").ok());
  ASSERT_TRUE(SetState(v1::RECOVERING).ok());
  DurableState again;
  for (const v1::Event& event : log_) ASSERT_TRUE(again.Apply(event).ok());
  const JobState& other = *again.Find("j");
  EXPECT_EQ(other.committed_step(), job().committed_step());
  EXPECT_EQ(other.generation(), job().generation());
  EXPECT_EQ(other.members(), job().members());
  EXPECT_EQ(other.state(), job().state());
  EXPECT_EQ(other.order().packs(), 4u);
  EXPECT_EQ(other.checkpoint_step(), 1u);
  EXPECT_EQ(other.uid(), 9u);
}

// Calls name a job and a generation: found by the simulator, seed 162 of its first day.
TEST_F(JobStateTest, ALaterJobOfTheNameGoesOnFromTheGenerationOfTheDeletedOne) {
  Submit();
  Freeze(40);
  ASSERT_TRUE(Open(1, 0).ok());
  ASSERT_TRUE(SetState(v1::CANCELLED).ok());
  v1::Event deleted = Of();
  deleted.mutable_job_deleted()->set_generation(1);
  ASSERT_TRUE(Apply(deleted).ok());
  Submit();
  EXPECT_EQ(job().generation(), 1u);
  Freeze(40);
  EXPECT_FALSE(Open(1, 0).ok());
  EXPECT_TRUE(Open(2, 0).ok());
}

}  // namespace
}  // namespace navit
