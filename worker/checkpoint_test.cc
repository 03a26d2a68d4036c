#include "worker/checkpoint.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/files.h"
#include "common/job_spec/resolve.h"
#include "worker/safetensors.h"

namespace navit {
namespace {

class CheckpointTest : public testing::Test {
 protected:
  CheckpointTest()
      : job_(TinyJob()),
        table_(*ResolveModelConfig(job_.spec().model(), job_.spec().preprocess(),
                                   job_.spec().loss())) {}
  ~CheckpointTest() override { SetFileFaultHookForTest(nullptr); }

  static v1::JobData TinyJob() {
    v1::JobData job;
    job.set_job("tiny");
    job.set_job_uid(9);
    job.set_manifest_hash("datahash");
    v1::JobSpec* spec = job.mutable_spec();
    spec->set_name("tiny");
    spec->mutable_train_for()->set_steps(10);
    spec->mutable_checkpoints()->set_directory(absl::StrCat(
        testing::TempDir(), "/", testing::UnitTest::GetInstance()->current_test_info()->name()));
    spec->mutable_model()->mutable_image()->set_preset("mu");
    v1::TowerSize* size = spec->mutable_model()->mutable_image()->mutable_size();
    size->set_width(8);
    size->set_depth(1);
    size->set_mlp_dim(8);
    size->set_heads(2);
    spec->mutable_model()->mutable_image()->set_patch_size(4);
    ResolveJobSpec(spec);
    return job;
  }

  ModelState RandomState(int salt, bool with_average = false) const {
    ModelState state(table_, with_average);
    for (const ParameterInfo& info : table_.entries()) {
      for (size_t i = info.offset; i < info.offset + info.size; ++i) {
        state.parameters.data()[i] = static_cast<float>(i * 31 % 97 + salt) / 7;
        state.first_moment.data()[i] = static_cast<float>(i * 17 % 89 + salt) / 11;
        state.second_moment.data()[i] = static_cast<float>(i * 13 % 83 + salt) / 13;
      }
    }
    for (size_t i = 0; i < state.average.size(); ++i) {
      // Not of the gaps between tensors.
      if (state.parameters.data()[i] != 0) state.average.data()[i] = static_cast<float>(i % 71);
    }
    state.updates = 41 + salt;
    return state;
  }

  CheckpointInfo Info(uint64_t step, uint64_t generation) const {
    return {.job = job_, .step = step, .generation = generation, .world_size = 2};
  }

  absl::StatusOr<WrittenCheckpoint> Write(uint64_t step, uint64_t generation,
                                          const ModelState& state) {
    return WriteCheckpoint(Info(step, generation), table_, state);
  }

  v1::JobData job_;
  ParameterTable table_;
};

void ExpectEqual(const AlignedBuffer& a, const AlignedBuffer& b) {
  ASSERT_EQ(a.size(), b.size());
  EXPECT_TRUE(std::equal(a.data(), a.data() + a.size(), b.data()));
}

void ReplaceByte(const std::string& path, size_t at) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(at);
  const char byte = static_cast<char>(file.get() ^ 0x10);
  file.seekp(at);
  file.put(byte);
}

TEST_F(CheckpointTest, RoundTrip) {
  const ModelState state = RandomState(0);
  const auto written = Write(12000, 7, state);
  ASSERT_TRUE(written.ok()) << written.status();
  EXPECT_TRUE(absl::EndsWith(written->folder, "/tiny/step-00012000-g7")) << written->folder;
  EXPECT_EQ(*ListFolder(written->folder),
            (std::vector<std::string>{"config.json", "manifest.json", "model.safetensors",
                                      "optimizer.safetensors"}));
  uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(written->folder)) {
    bytes += entry.file_size();
  }
  EXPECT_EQ(written->bytes, bytes);

  ModelState loaded(table_);
  const auto manifest = LoadCheckpoint(written->folder, job_, table_, &loaded);
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  ExpectEqual(loaded.parameters, state.parameters);
  ExpectEqual(loaded.first_moment, state.first_moment);
  ExpectEqual(loaded.second_moment, state.second_moment);
  EXPECT_EQ(loaded.updates, state.updates);
  EXPECT_EQ(manifest->step(), 12000);
  EXPECT_EQ(manifest->generation(), 7);
  EXPECT_EQ(manifest->next_ordinal(), 12000 * job_.spec().packing().sequences_per_step());
  EXPECT_GT(manifest->plan_version(), 0);
  EXPECT_EQ(manifest->plan_version(), job_.spec().packing().plan_version());
}

TEST_F(CheckpointTest, ScoresStandBesideTheWeights) {
  CheckpointInfo info = Info(20, 1);
  info.scores.set_step(10);
  v1::Scores::Score* score = info.scores.mutable_scores()->add_scores();
  score->set_metric("heldout/zero_shot/top@1");
  score->set_value(0.5);
  const auto written = WriteCheckpoint(info, table_, RandomState(0));
  ASSERT_TRUE(written.ok()) << written.status();
  const auto text = ReadFile(written->folder + "/scores.json");
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_TRUE(absl::StrContains(*text, "heldout/zero_shot/top@1")) << *text;
  const auto manifest = ReadCheckpointManifest(written->folder);
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->files(manifest->files_size() - 1).name(), "scores.json");
}

TEST_F(CheckpointTest, TheAverageComesBackToTheBit) {
  const ModelState state = RandomState(5, /*with_average=*/true);
  const auto written = Write(10, 1, state);
  ASSERT_TRUE(written.ok()) << written.status();
  EXPECT_TRUE(FileExists(written->folder + "/model_ema.safetensors"));
  ModelState loaded(table_, /*with_average=*/true);
  ASSERT_TRUE(LoadCheckpoint(written->folder, job_, table_, &loaded).ok());
  ExpectEqual(loaded.average, state.average);
  ExpectEqual(loaded.parameters, state.parameters);
  // A job without one does not read it; one that now wants one begins at the weights.
  ModelState without(table_);
  ASSERT_TRUE(LoadCheckpoint(written->folder, job_, table_, &without).ok());
  ExpectEqual(without.parameters, state.parameters);
  const auto plain = Write(11, 1, RandomState(5));
  ASSERT_TRUE(plain.ok()) << plain.status();
  ASSERT_TRUE(LoadCheckpoint(plain->folder, job_, table_, &loaded).ok());
  ExpectEqual(loaded.average, loaded.parameters);
  // One that is listed must be whole.
  ReplaceByte(written->folder + "/model_ema.safetensors", 5000);
  const absl::Status damaged = LoadCheckpoint(written->folder, job_, table_, &loaded).status();
  EXPECT_TRUE(absl::IsDataLoss(damaged)) << damaged;
  EXPECT_TRUE(absl::StrContains(damaged.message(), "model_ema.safetensors")) << damaged;
}

// The layout that Python's safetensors reads: little-endian length, JSON, data.
TEST_F(CheckpointTest, HeaderIsWhatTheFormatSays) {
  const std::string path = absl::StrCat(testing::TempDir(), "/two.safetensors");
  const std::vector<float> values = {1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f};
  ASSERT_TRUE(WriteSafetensors(path,
                               {{"a", {2, 2}, absl::MakeConstSpan(values).first(4)},
                                {"b", {2}, absl::MakeConstSpan(values).subspan(4)}},
                               {{"key", "a \"text\""}})
                  .ok());
  const std::string bytes = *ReadFile(path);
  uint64_t header = 0;
  std::memcpy(&header, bytes.data(), 8);
  EXPECT_EQ((header + 8) % 64, 0);
  EXPECT_EQ(bytes.size(), 8 + header + 24);
  EXPECT_TRUE(absl::StartsWith(
      bytes.substr(8),
      R"({"__metadata__":{"key":"a \"text\""},"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"b":{"dtype":"F32","shape":[2],"data_offsets":[16,24]}} )"))
      << bytes.substr(8, header);
  EXPECT_EQ(std::memcmp(bytes.data() + 8 + header, values.data(), 24), 0);
}

TEST_F(CheckpointTest, EveryDamageIsNamed) {
  const ModelState state = RandomState(0);
  ModelState loaded(table_);
  for (const char* name : {"model.safetensors", "optimizer.safetensors"}) {
    for (int damage = 0; damage < 3; ++damage) {
      const std::string folder = Write(5, 1, state)->folder;
      const std::string path = absl::StrCat(folder, "/", name);
      const auto size = std::filesystem::file_size(path);
      if (damage == 0) std::filesystem::resize_file(path, size - 1);
      if (damage == 1) ReplaceByte(path, size / 2);
      if (damage == 2) std::filesystem::remove(path);
      const absl::Status status = LoadCheckpoint(folder, job_, table_, &loaded).status();
      EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
      EXPECT_TRUE(absl::StrContains(status.message(), path)) << status;
    }
  }
  const std::string folder = Write(5, 1, state)->folder;
  std::filesystem::resize_file(folder + "/manifest.json", 40);
  EXPECT_EQ(LoadCheckpoint(folder, job_, table_, &loaded).status().code(),
            absl::StatusCode::kDataLoss);
  std::filesystem::remove(folder + "/manifest.json");
  const absl::Status status = LoadCheckpoint(folder, job_, table_, &loaded).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE(absl::StrContains(status.message(), "manifest.json")) << status;
}

TEST_F(CheckpointTest, AnotherJobIsRefusedByName) {
  const std::string folder = Write(5, 1, RandomState(0))->folder;
  ModelState loaded(table_);
  v1::JobData other = job_;
  other.mutable_spec()->mutable_packing()->set_sequences_per_step(8);
  absl::Status status = LoadCheckpoint(folder, other, table_, &loaded).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(absl::StrContains(status.message(), "packing.sequences_per_step")) << status;

  other = job_;
  other.set_manifest_hash("otherhash");
  status = LoadCheckpoint(folder, other, table_, &loaded).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(absl::StrContains(status.message(), "other data")) << status;

  // The learning rate may change.
  other = job_;
  other.mutable_spec()->mutable_optimizer()->set_lr(0.5);
  EXPECT_TRUE(LoadCheckpoint(folder, other, table_, &loaded).ok());
}

TEST_F(CheckpointTest, AFullDiskLeavesTheOldCheckpointAndNothingElse) {
  const ModelState old_state = RandomState(0);
  const std::string old_folder = Write(5, 1, old_state)->folder;
  for (const char* operation : {"open", "write", "sync", "rename"}) {
    for (const char* file : {"model", "optimizer", "config", "manifest"}) {
      SetFileFaultHookForTest([&](absl::string_view step, absl::string_view path) {
        return step == operation && absl::StrContains(path, "step-00000010") &&
                       absl::StrContains(path, file)
                   ? ENOSPC
                   : 0;
      });
      const absl::Status status = Write(10, 1, RandomState(3)).status();
      SetFileFaultHookForTest(nullptr);
      EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << operation << " " << file;
      EXPECT_FALSE(FileExists(CheckpointFolder(job_.spec(), 10, 1))) << operation << " " << file;
    }
  }
  ModelState loaded(table_);
  ASSERT_TRUE(LoadCheckpoint(old_folder, job_, table_, &loaded).ok());
  ExpectEqual(loaded.parameters, old_state.parameters);
  EXPECT_TRUE(Write(10, 1, RandomState(3)).ok());
}

TEST_F(CheckpointTest, RemovesOnlyCheckpointsOfTheJob) {
  const std::string folder = Write(5, 1, RandomState(0))->folder;
  EXPECT_TRUE(RemoveCheckpoints(job_.spec(), {folder}).ok());
  EXPECT_FALSE(FileExists(folder));
  EXPECT_TRUE(RemoveCheckpoints(job_.spec(), {folder}).ok());
  const std::string outside = absl::StrCat(job_.spec().checkpoints().directory(), "/precious");
  ASSERT_TRUE(EnsureFolder(outside).ok());
  for (const std::string& path :
       {outside, CheckpointRoot(job_.spec()) + "/../precious", CheckpointRoot(job_.spec())}) {
    EXPECT_EQ(RemoveCheckpoints(job_.spec(), {path}).code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_TRUE(FileExists(outside));
}

TEST_F(CheckpointTest, LeftoversOfOlderGenerationsGo) {
  const std::string recorded = Write(5, 1, RandomState(0))->folder;
  const std::string unrecorded = Write(10, 1, RandomState(0))->folder;
  const std::string current = Write(10, 2, RandomState(0))->folder;
  const std::string unfinished = Write(15, 1, RandomState(0))->folder;
  std::filesystem::remove(unfinished + "/manifest.json");
  job_.set_job_uid(8);
  const std::string of_a_namesake = Write(20, 1, RandomState(0))->folder;
  job_.set_job_uid(9);
  const auto removed = RemoveLeftovers(job_, 2, {recorded});
  ASSERT_TRUE(removed.ok()) << removed.status();
  EXPECT_EQ(*removed, (std::vector<std::string>{unrecorded, unfinished}));
  EXPECT_TRUE(FileExists(recorded));
  EXPECT_TRUE(FileExists(current));
  EXPECT_TRUE(FileExists(of_a_namesake));
  EXPECT_FALSE(FileExists(unrecorded));
}

}  // namespace
}  // namespace navit
