#include "common/job_spec/identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/job_spec/resolve.h"

namespace navit {
namespace {

using ::testing::ElementsAre;

v1::JobSpec Spec() {
  v1::JobSpec spec;
  spec.set_name("a");
  spec.mutable_data()->add_train()->set_shards("/data/");
  ResolveJobSpec(&spec);
  return spec;
}

TEST(Identity, ChangesOfTrajectoryAndOperationAreFree) {
  v1::JobSpec changed = Spec();
  changed.set_priority(7);
  changed.mutable_data()->set_index("/index");
  changed.mutable_data()->add_validation()->set_shards("/more/");
  changed.mutable_optimizer()->set_lr(0.5);
  changed.mutable_workers()->mutable_trainers()->set_threads(9);
  EXPECT_THAT(IdentityDifference(Spec(), changed), ElementsAre());
  EXPECT_EQ(IdentityHash(Spec()), IdentityHash(changed));
}

TEST(Identity, NamesWhatDiffers) {
  v1::JobSpec changed = Spec();
  changed.mutable_data()->mutable_train(0)->set_shards("/other/");
  changed.mutable_packing()->set_sequence_length(64);
  changed.mutable_preprocess()->set_mean(1, 0.25f);
  changed.mutable_loss()->clear_equal_captions();
  EXPECT_THAT(IdentityDifference(Spec(), changed),
              ElementsAre("data.train[0].shards", "preprocess.mean[1]", "packing.sequence_length",
                          "loss.equal_captions"));
  EXPECT_NE(IdentityHash(Spec()), IdentityHash(changed));
  EXPECT_THAT(IdentityDifference(changed, Spec()),
              ElementsAre("data.train[0].shards", "preprocess.mean[1]", "packing.sequence_length",
                          "loss.equal_captions"));
}

TEST(Identity, HashIsAFunctionOfTheFieldsAlone) {
  EXPECT_EQ(IdentityHash(Spec()), IdentityHash(Spec()));
  // Checkpoints on disk hold this number: a change of the format refuses them all.
  EXPECT_EQ(IdentityHash(v1::JobSpec()), 0x2d06800538d394c2u);
}

}  // namespace
}  // namespace navit
