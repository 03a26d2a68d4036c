#include "packer/testing/job.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <utility>

#include "common/files.h"
#include "common/job_spec/resolve.h"
#include "gtest/gtest.h"
#include "packer/shard_index.h"

namespace navit::testing {
namespace {

void CheckOk(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  std::abort();
}

}  // namespace

v1::JobSpec MakeSpec(uint32_t window_samples) {
  v1::JobSpec spec;
  spec.set_name("test");
  spec.mutable_data()->add_train()->set_shards("train.tar");
  spec.mutable_data()->add_validation()->set_shards("validation.tar");
  spec.mutable_packing()->set_window_samples(window_samples);
  spec.mutable_packing()->set_sequence_length(128);
  spec.mutable_resolution()->set_min_pixels(24);
  spec.mutable_resolution()->set_max_pixels(90);
  spec.mutable_model()->mutable_image()->set_patch_size(8);
  spec.mutable_model()->mutable_text()->set_max_tokens(24);
  spec.mutable_evaluation()->add_token_budgets(64);
  spec.mutable_train_for()->set_epochs(2);
  ResolveJobSpec(&spec);
  return spec;
}

std::string NewFolder(const std::string& name) {
  const std::string folder = ::testing::TempDir() + "/" + name + "-" +
                             ::testing::UnitTest::GetInstance()->current_test_info()->name();
  CheckOk(RemoveAll(folder));
  CheckOk(EnsureFolder(folder));
  return folder;
}

void WriteBytes(const std::string& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << bytes;
  file.close();
  if (!file.good()) std::abort();
}

std::shared_ptr<ObjectStore> LocalStore() {
  static const auto* store = new std::shared_ptr<ObjectStore>(MakeObjectStore());
  return *store;
}

std::shared_ptr<const v1::DataManifest> MakeManifest(const std::vector<std::string>& shards,
                                                     const std::string& index_folder) {
  auto manifest = std::make_shared<v1::DataManifest>();
  for (const std::string& shard : shards) {
    absl::StatusOr<v1::ShardEntry> entry = IndexShard(LocalStore().get(), shard, index_folder);
    CheckOk(entry.status());
    *manifest->add_train() = *entry;
    *manifest->add_validation() = *entry;
    manifest->set_train_samples(manifest->train_samples() + entry->samples());
    manifest->set_validation_samples(manifest->validation_samples() + entry->samples());
  }
  v1::DatasetEntry* dataset = manifest->add_train_datasets();
  dataset->set_shards(manifest->train_size());
  dataset->set_samples(manifest->train_samples());
  return manifest;
}

DataPlane::DataPlane(const v1::JobSpec& spec, std::shared_ptr<const v1::DataManifest> manifest)
    : indexes(std::make_shared<IndexCache>(LocalStore())) {
  absl::StatusOr<std::unique_ptr<WindowPlanner>> created =
      WindowPlanner::Create(spec, manifest, indexes);
  CheckOk(created.status());
  planner = *std::move(created);
  absl::StatusOr<std::unique_ptr<PackMaker>> made = PackMaker::Create(
      spec, manifest, indexes, std::make_shared<RangeReader>(LocalStore(), RangeReader::Options()));
  CheckOk(made.status());
  maker = *std::move(made);
}

}  // namespace navit::testing
