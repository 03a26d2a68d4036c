// The same plans and packs from every program, machine, thread and order of work.
#include <hwy/targets.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/stream_layout.h"
#include "gtest/gtest.h"
#include "packer/testing/pack_fixture.h"

namespace navit {
namespace {

using testing::DataPlane;
using testing::MakeSpec;

constexpr char kGoldenText[] = "packer/testdata/golden.txt";

class PackGoldenTest : public testing::PackTest {};

// The text that golden.txt holds: digests of plans and hashes of packs.
std::string GoldenText(const v1::JobSpec& spec, std::shared_ptr<const v1::DataManifest> manifest) {
  DataPlane plane(spec, manifest);
  std::string text;
  const StreamLayout layout = StreamLayout::ForJob(spec, *manifest);
  const StreamLayout evaluation =
      *StreamLayout::ForEvaluation(spec, *manifest, v1::SPLIT_TRAINED_PAIRS);
  for (const auto& [split, windows] : {std::pair{v1::SPLIT_TRAIN, layout.windows()},
                                       std::pair{v1::SPLIT_VALIDATION, evaluation.windows()}}) {
    for (uint64_t w = 0; w < windows; ++w) {
      const auto plan = plane.planner->Plan(split, w);
      if (!plan.ok()) return plan.status().ToString();
      absl::StrAppend(&text, v1::Split_Name(split), " window ", w, " plan ",
                      absl::Hex(plan->digest, absl::kZeroPad16), "\n");
      for (uint32_t p = 0; p < plan->packs(); ++p) {
        const auto made = plane.maker->Make(*plan, p);
        if (!made.ok()) return made.status().ToString();
        absl::StrAppend(&text, "  pack ", p, " ",
                        absl::Hex(made->header.content_hash(), absl::kZeroPad16), " tokens ",
                        made->header.image_tokens(), " examples ", made->header.examples(),
                        " holes ", made->header.holes_size(), "\n");
      }
    }
  }
  return text;
}

// A change of any of these numbers breaks running jobs: it needs a new plan version, and then the
// test's output golden.txt (under bazel-testlogs) is the new file. On every SIMD target that this
// machine has.
TEST_F(PackGoldenTest, GoldenPlansAndPacks) {
  std::ifstream file(kGoldenText);
  std::stringstream expected;
  expected << file.rdbuf();
  const auto manifest = Golden();
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    const std::string text = GoldenText(MakeSpec(), manifest);
    EXPECT_EQ(text, expected.str()) << hwy::TargetName(target);
    if (const char* outputs = std::getenv("TEST_UNDECLARED_OUTPUTS_DIR")) {
      testing::WriteBytes(absl::StrCat(outputs, "/golden.txt"), text);
    }
  }
  hwy::SetSupportedTargetsForTest(0);
}

TEST_F(PackGoldenTest, TheSameWhateverTheOrderAndTheThreads) {
  const auto manifest = Shards(120, 50);
  const v1::JobSpec spec = MakeSpec(32);
  const auto make_all = [&](DataPlane& plane, std::vector<uint64_t> windows, bool backwards) {
    std::map<std::pair<uint64_t, uint32_t>, uint64_t> hashes;
    for (const uint64_t w : windows) {
      const auto plan = plane.planner->Plan(v1::SPLIT_TRAIN, w);
      EXPECT_TRUE(plan.ok()) << plan.status();
      for (uint32_t k = 0; k < plan->packs(); ++k) {
        const uint32_t p = backwards ? plan->packs() - 1 - k : k;
        const auto made = plane.maker->Make(*plan, p);
        EXPECT_TRUE(made.ok()) << made.status();
        hashes[{w, p}] = made->header.content_hash();
      }
    }
    return hashes;
  };
  DataPlane one(spec, manifest);
  const auto forwards = make_all(one, {0, 1, 2, 3, 4}, false);
  DataPlane two(spec, manifest);
  EXPECT_EQ(make_all(two, {4, 1, 0, 3, 2}, true), forwards);
  // Four packers that share a window each.
  DataPlane shared(spec, manifest);
  std::vector<std::map<std::pair<uint64_t, uint32_t>, uint64_t>> parts(5);
  std::vector<std::thread> threads;
  for (uint64_t w = 0; w < 5; ++w) {
    threads.emplace_back([&, w] { parts[w] = make_all(shared, {w}, w % 2 == 0); });
  }
  for (std::thread& thread : threads) thread.join();
  std::map<std::pair<uint64_t, uint32_t>, uint64_t> together;
  for (const auto& part : parts) together.insert(part.begin(), part.end());
  EXPECT_EQ(together, forwards);
  std::set<uint64_t> distinct;
  for (const auto& [key, hash] : forwards) distinct.insert(hash);
  EXPECT_EQ(distinct.size(), forwards.size());
}

TEST_F(PackGoldenTest, SeedAndSettingsChangeThePlan) {
  const auto manifest = Shards(40, 40);
  std::set<uint64_t> digests;
  const auto plan_with = [&](auto change) {
    v1::JobSpec spec = MakeSpec(64);
    change(spec);
    DataPlane plane(spec, manifest);
    digests.insert(plane.planner->Plan(v1::SPLIT_TRAIN, 0)->digest);
  };
  plan_with([](v1::JobSpec&) {});
  plan_with([](v1::JobSpec& s) { s.set_seed(43); });
  plan_with([](v1::JobSpec& s) { s.mutable_resolution()->set_mu(0.5); });
  plan_with([](v1::JobSpec& s) {
    s.mutable_resolution()->set_distribution(v1::ResolutionSpec::DISTRIBUTION_UNIFORM);
  });
  plan_with([](v1::JobSpec& s) { s.mutable_token_drop()->set_kind(v1::TokenDropSpec::NONE); });
  plan_with([](v1::JobSpec& s) { s.mutable_token_drop()->set_kind(v1::TokenDropSpec::CONSTANT); });
  plan_with([](v1::JobSpec& s) { s.mutable_packing()->set_sequence_length(96); });
  EXPECT_EQ(digests.size(), 7u);
}

}  // namespace
}  // namespace navit
