// A resolved spec and a data set on disk for tests of the data plane.
#ifndef NAVIT_PACKER_TESTING_JOB_H_
#define NAVIT_PACKER_TESTING_JOB_H_

#include <memory>
#include <string>
#include <vector>

#include "common/object_store/object_store.h"
#include "packer/index_cache.h"
#include "packer/pack_maker.h"
#include "packer/plan.h"
#include "proto/data.pb.h"
#include "proto/job_spec.pb.h"

namespace navit::testing {

// Defaults of the job file, one epoch over `window_samples`-sized windows, patches of 8 pixels and
// rows of 128 tokens, so that small pictures make several packs.
v1::JobSpec MakeSpec(uint32_t window_samples = 32);

// A new folder for the running test.
std::string NewFolder(const std::string& name);
void WriteBytes(const std::string& path, const std::string& bytes);

// One for all tests of a program.
std::shared_ptr<ObjectStore> LocalStore();

// Indexes `shards` for training and for validation. Dies on an error.
std::shared_ptr<const v1::DataManifest> MakeManifest(const std::vector<std::string>& shards,
                                                     const std::string& index_folder);

// Planner and maker over one manifest.
struct DataPlane {
  DataPlane(const v1::JobSpec& spec, std::shared_ptr<const v1::DataManifest> manifest);

  std::shared_ptr<IndexCache> indexes;
  std::unique_ptr<WindowPlanner> planner;
  std::unique_ptr<PackMaker> maker;
};

}  // namespace navit::testing

#endif  // NAVIT_PACKER_TESTING_JOB_H_
