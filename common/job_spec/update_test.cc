#include "common/job_spec/update.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/job_spec/resolve.h"

namespace navit {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

v1::JobSpec Stored() {
  v1::JobSpec spec;
  spec.set_name("stored");
  spec.mutable_data()->add_train()->set_shards("/data/{000..003}.tar");
  spec.mutable_checkpoints()->set_directory("/checkpoints");
  spec.mutable_train_for()->set_epochs(1);
  spec.mutable_workers()->mutable_trainers()->set_max(4);
  ResolveJobSpec(&spec);
  return spec;
}

TEST(UpdateSpecTest, ChangesWorkersPriorityCadencesAndBudgets) {
  v1::JobSpec spec = Stored();
  EXPECT_THAT(UpdateSpec({"workers.trainers.max=8", "priority=-3", "checkpoints.every_steps=50",
                          "budgets.max_hours=1.5"},
                         &spec),
              IsEmpty());
  EXPECT_EQ(spec.workers().trainers().max(), 8u);
  EXPECT_EQ(spec.priority(), -3);
  EXPECT_EQ(spec.checkpoints().every_steps(), 50u);
  EXPECT_EQ(spec.budgets().max_hours(), 1.5);
}

TEST(UpdateSpecTest, AnEmptyValueBringsTheDefaultBack) {
  v1::JobSpec spec = Stored();
  ASSERT_THAT(UpdateSpec({"checkpoints.keep_last=9"}, &spec), IsEmpty());
  ASSERT_THAT(UpdateSpec({"checkpoints.keep_last="}, &spec), IsEmpty());
  EXPECT_EQ(spec.checkpoints().keep_last(), Stored().checkpoints().keep_last());
}

TEST(UpdateSpecTest, NamesEveryFieldThatMustNotChange) {
  v1::JobSpec spec = Stored();
  const auto violations = UpdateSpec(
      {"seed=7", "workers.trainers.threads=2", "checkpoints.directory=/other", "nonsense"}, &spec);
  ASSERT_THAT(violations, SizeIs(4));
  EXPECT_EQ(violations[0].path, "seed");
  EXPECT_THAT(violations[0].message, HasSubstr("cannot change in a submitted job"));
  EXPECT_EQ(violations[1].path, "workers.trainers.threads");
  EXPECT_EQ(violations[2].path, "checkpoints.directory");
  EXPECT_EQ(violations[3].path, "nonsense");
}

TEST(UpdateSpecTest, ChecksTheResultAsSubmitDoes) {
  v1::JobSpec spec = Stored();
  const auto unread = UpdateSpec({"checkpoints.every_steps=many"}, &spec);
  ASSERT_THAT(unread, SizeIs(1));
  EXPECT_EQ(unread[0].path, "checkpoints.every_steps");
  const auto crossed = UpdateSpec({"workers.trainers.min=9"}, &spec);
  ASSERT_THAT(crossed, SizeIs(1));
  EXPECT_THAT(crossed[0].path, HasSubstr("workers.trainers"));
}

}  // namespace
}  // namespace navit
