// What tests of plans and packs together begin with: data sets in a folder of the test's own, and
// the promises that every pack keeps.
#ifndef NAVIT_PACKER_TESTING_PACK_FIXTURE_H_
#define NAVIT_PACKER_TESTING_PACK_FIXTURE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "packer/pack_maker.h"
#include "packer/plan.h"
#include "packer/testing/job.h"
#include "proto/data.pb.h"
#include "proto/job_spec.pb.h"

namespace navit::testing {

class PackTest : public ::testing::Test {
 protected:
  PackTest() : folder_(NewFolder("pack")) {}

  // The golden shard, its sidecar in the test's folder. The test has it as data.
  std::shared_ptr<const v1::DataManifest> Golden();
  // One shard, FOLDER/0.tar.
  std::shared_ptr<const v1::DataManifest> Shard(const std::string& bytes);
  // `count` samples with pictures of drawn sizes, over several shards.
  std::shared_ptr<const v1::DataManifest> Shards(uint32_t count, uint32_t per_shard);

  const std::string folder_;
};

// Expects everything that the header and the columns of pack `index` of `plan` promise.
void CheckPack(const v1::JobSpec& spec, const WindowPlan& plan, uint32_t index,
               const PackedBytes& made);

}  // namespace navit::testing

#endif  // NAVIT_PACKER_TESTING_PACK_FIXTURE_H_
