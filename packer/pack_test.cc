// Plans and packs together: what a packer process relies on.
#include <hwy/targets.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/files.h"
#include "common/stream_layout.h"
#include "gtest/gtest.h"
#include "packer/augmentation.h"
#include "packer/caption.h"
#include "packer/pack_maker.h"
#include "packer/plan.h"
#include "packer/testing/encode.h"
#include "packer/testing/job.h"
#include "packer/testing/tar_writer.h"

namespace navit {
namespace {

using testing::DataPlane;
using testing::EncodeJpeg;
using testing::EncodePng;
using testing::MakeManifest;
using testing::MakePicture;
using testing::MakeSpec;
using testing::TarWriter;

constexpr char kGoldenShard[] = "packer/testdata/golden.tar";
constexpr char kGoldenText[] = "packer/testdata/golden.txt";

class PackTest : public ::testing::Test {
 protected:
  PackTest() : folder_(testing::NewFolder("pack")) {}

  // The golden shard, its sidecar in the test's folder.
  std::shared_ptr<const v1::DataManifest> Golden() {
    return MakeManifest({kGoldenShard}, folder_ + "/index");
  }
  std::shared_ptr<const v1::DataManifest> Shard(const std::string& bytes) {
    testing::WriteBytes(folder_ + "/0.tar", bytes);
    return MakeManifest({folder_ + "/0.tar"}, "");
  }
  // `count` samples with pictures of drawn sizes, over several shards.
  std::shared_ptr<const v1::DataManifest> Shards(uint32_t count, uint32_t per_shard) {
    std::vector<std::string> shards;
    for (uint32_t first = 0; first < count; first += per_shard) {
      TarWriter tar;
      for (uint32_t i = first; i < std::min(count, first + per_shard); ++i) {
        tar.Add(absl::StrCat(i, ".jpg"),
                EncodeJpeg(MakePicture(20 + i * 7 % 90, 20 + i * 11 % 70, i)));
        tar.Add(absl::StrCat(i, ".txt"), absl::StrCat("caption ", i % 7));
      }
      shards.push_back(absl::StrFormat("%s/%05d.tar", folder_, first));
      testing::WriteBytes(shards.back(), tar.Finish());
    }
    return MakeManifest(shards, "");
  }

  const std::string folder_;
};

uint32_t U16(const std::string& bytes, size_t i) {
  return static_cast<uint8_t>(bytes[2 * i]) | static_cast<uint8_t>(bytes[2 * i + 1]) << 8;
}

// Everything that the header and the columns of a pack promise.
void CheckPack(const v1::JobSpec& spec, const WindowPlan& plan, uint32_t index,
               const PackedBytes& made) {
  v1::Pack pack;
  ASSERT_TRUE(pack.ParseFromString(made.payload));
  const v1::PackHeader& header = made.header;
  const int examples = static_cast<int>(plan.pack_begin[index + 1] - plan.pack_begin[index]);
  ASSERT_EQ(pack.samples_size(), examples);
  ASSERT_EQ(pack.image_tokens_size(), examples);
  ASSERT_EQ(pack.grid_rows_size(), examples);
  ASSERT_EQ(pack.grid_columns_size(), examples);
  ASSERT_EQ(pack.text_tokens_size(), examples);
  ASSERT_EQ(pack.caption_hashes_size(), examples);
  std::map<uint64_t, v1::HoleReason> holes;
  for (const v1::Hole& hole : header.holes()) holes[hole.sample()] = hole.reason();
  uint64_t tokens = 0, text = 0, squares = 0, valid = 0;
  size_t position = 0;
  for (int e = 0; e < examples; ++e) {
    const PlannedExample& planned = plan.examples[plan.pack_begin[index] + e];
    EXPECT_EQ(pack.samples(e), planned.sample);
    if (holes.count(pack.samples(e)) != 0) {
      EXPECT_EQ(pack.image_tokens(e), 0u);
      EXPECT_EQ(pack.text_tokens(e), 0u);
      EXPECT_EQ(pack.caption_hashes(e), 0u);
      EXPECT_EQ(pack.grid_rows(e), 0u);
      continue;
    }
    EXPECT_EQ(planned.hole, v1::HOLE_REASON_NONE);
    EXPECT_EQ(pack.image_tokens(e), planned.tokens);
    EXPECT_EQ(pack.grid_rows(e), planned.grid_rows);
    EXPECT_EQ(pack.grid_columns(e), planned.grid_columns);
    EXPECT_LE(pack.image_tokens(e), pack.grid_rows(e) * pack.grid_columns(e));
    EXPECT_NE(pack.caption_hashes(e), 0u);
    EXPECT_GE(pack.text_tokens(e), 3u);
    EXPECT_EQ(pack.text_tokens(e), planned.text_tokens);
    EXPECT_EQ(U16(pack.text(), text), 0u) << "begin";
    EXPECT_EQ(U16(pack.text(), text + pack.text_tokens(e) - 1), 1u) << "end";
    uint32_t before = 0;
    for (uint32_t t = 0; t < pack.image_tokens(e); ++t, ++position) {
      const uint32_t row = U16(pack.positions(), 2 * position);
      const uint32_t column = U16(pack.positions(), 2 * position + 1);
      EXPECT_LT(row, pack.grid_rows(e));
      EXPECT_LT(column, pack.grid_columns(e));
      const uint32_t place = row * pack.grid_columns(e) + column + 1;
      EXPECT_GT(place, before) << "rising, distinct patches";
      before = place;
    }
    tokens += pack.image_tokens(e);
    text += pack.text_tokens(e);
    squares += uint64_t{pack.image_tokens(e)} * pack.image_tokens(e);
    ++valid;
  }
  const uint32_t patch = spec.model().image().patch_size();
  EXPECT_EQ(pack.patches().size(), tokens * patch * patch * 3);
  EXPECT_EQ(pack.positions().size(), tokens * 4);
  EXPECT_EQ(pack.text().size(), text * 2);
  EXPECT_EQ(pack.patch_size(), patch);
  EXPECT_EQ(pack.epoch(), plan.epoch);
  EXPECT_EQ(header.image_tokens(), tokens);
  EXPECT_LE(tokens, header.capacity_tokens());
  EXPECT_EQ(header.capacity_tokens(), plan.sequence_length);
  EXPECT_EQ(header.text_tokens(), text);
  EXPECT_EQ(header.examples(), static_cast<uint32_t>(examples));
  EXPECT_EQ(header.valid_examples(), valid);
  EXPECT_EQ(header.valid_examples() + header.holes_size(), header.examples());
  EXPECT_EQ(header.sum_squares(), squares);
  EXPECT_EQ(header.payload_bytes(), made.payload.size());
  EXPECT_EQ(header.window(), plan.window);
  EXPECT_EQ(header.index(), index);
  EXPECT_EQ(header.split(), plan.split);
  EXPECT_EQ(header.plan_version(), kPlanVersion);
  EXPECT_EQ(made.stats.examples.size(), valid);
}

TEST_F(PackTest, EachSampleOfAnEpochInExactlyOnePack) {
  const auto manifest = Shards(150, 40);
  const v1::JobSpec spec = MakeSpec(64);
  DataPlane plane(spec, manifest);
  const StreamLayout layout = StreamLayout::ForJob(spec, *manifest);
  std::map<uint64_t, std::vector<uint64_t>> samples;
  for (uint64_t w = 0; w < layout.windows(); ++w) {
    const auto plan = plane.planner->Plan(v1::SPLIT_TRAIN, w);
    ASSERT_TRUE(plan.ok()) << plan.status();
    EXPECT_EQ(plan->epoch, w / 3);
    for (uint32_t p = 0; p < plan->packs(); ++p) {
      uint32_t tokens = 0;
      for (uint32_t i = plan->pack_begin[p]; i < plan->pack_begin[p + 1]; ++i) {
        samples[plan->epoch].push_back(plan->examples[i].sample);
        tokens += plan->examples[i].tokens;
      }
      EXPECT_LE(tokens, spec.packing().sequence_length());
      EXPECT_LE(plan->pack_begin[p + 1] - plan->pack_begin[p],
                spec.packing().max_examples_per_sequence());
    }
  }
  EXPECT_NE(samples[0], samples[1]) << "epochs have orders of their own";
  for (auto& [epoch, list] : samples) {
    std::sort(list.begin(), list.end());
    ASSERT_EQ(list.size(), 150u);
    for (uint64_t i = 0; i < 150; ++i) EXPECT_EQ(list[i], i);
  }
  EXPECT_TRUE(absl::IsOutOfRange(plane.planner->Plan(v1::SPLIT_TRAIN, 6).status()));
}

TEST_F(PackTest, PacksKeepTheirPromises) {
  const v1::JobSpec spec = MakeSpec();
  DataPlane plane(spec, Golden());
  for (const v1::Split split : {v1::SPLIT_TRAIN, v1::SPLIT_VALIDATION, v1::SPLIT_TRAINED_PAIRS}) {
    for (uint64_t w = 0; w < 2; ++w) {
      const auto plan = plane.planner->Plan(split, w);
      ASSERT_TRUE(plan.ok()) << plan.status();
      for (uint32_t p = 0; p < plan->packs(); ++p) {
        const auto made = plane.maker->Make(*plan, p);
        ASSERT_TRUE(made.ok()) << made.status();
        CheckPack(spec, *plan, p, *made);
      }
    }
  }
}

// Prefix tokens take room in a sequence, and an image leaves room for them.
TEST_F(PackTest, PrefixTokensCountInTheSequence) {
  v1::JobSpec spec = MakeSpec();
  spec.mutable_model()->mutable_image()->set_prefix_tokens(5);
  spec.mutable_packing()->set_sequence_length(64);
  spec.mutable_packing()->set_exact_fit(0.3);
  spec.mutable_resolution()->set_max_upscale(8);
  spec.mutable_evaluation()->set_token_budget(64);
  DataPlane plane(spec, Golden());
  for (const v1::Split split : {v1::SPLIT_TRAIN, v1::SPLIT_VALIDATION}) {
    const auto plan = plane.planner->Plan(split, 0);
    ASSERT_TRUE(plan.ok()) << plan.status();
    const uint32_t capacity = split == v1::SPLIT_TRAIN ? 64 : 69;
    EXPECT_EQ(plan->sequence_length, capacity);
    uint32_t largest = 0;
    for (uint32_t p = 0; p < plan->packs(); ++p) {
      uint32_t tokens = 0;
      for (uint32_t i = plan->pack_begin[p]; i < plan->pack_begin[p + 1]; ++i) {
        const PlannedExample& example = plan->examples[i];
        if (example.tokens == 0) continue;
        largest = std::max(largest, example.tokens);
        tokens += example.tokens + 5;
      }
      EXPECT_LE(tokens, capacity);
      const auto made = plane.maker->Make(*plan, p);
      ASSERT_TRUE(made.ok()) << made.status();
      EXPECT_LE(made->header.image_tokens(), tokens);
      v1::Pack pack;
      ASSERT_TRUE(pack.ParseFromString(made->payload));
      uint32_t used = 0;
      for (const uint32_t n : pack.image_tokens()) used += n == 0 ? 0 : n + 5;
      EXPECT_EQ(made->header.image_tokens(), used);
    }
    EXPECT_LE(largest, capacity - 5);
    EXPECT_GE(largest, capacity / 2);
  }
  spec.mutable_model()->mutable_image()->set_prefix_tokens(64);
  EXPECT_TRUE(absl::IsInvalidArgument(
      WindowPlanner::Create(spec, Golden(), std::make_shared<IndexCache>(testing::LocalStore()))
          .status()));
}

// Evaluation: shard order, every image at the token budget, no patch dropped.
TEST_F(PackTest, EvaluationSplits) {
  v1::JobSpec spec = MakeSpec();
  spec.mutable_evaluation()->set_token_budget(200);
  DataPlane plane(spec, Shards(40, 40));
  uint64_t next = 0;
  for (uint64_t w = 0; w < 2; ++w) {
    const auto plan = plane.planner->Plan(v1::SPLIT_VALIDATION, w);
    ASSERT_TRUE(plan.ok()) << plan.status();
    EXPECT_EQ(plan->sequence_length, 200u) << "an image at the budget fits";
    for (const PlannedExample& example : plan->examples) {
      EXPECT_EQ(example.sample, next++);
      EXPECT_EQ(example.tokens, example.grid_rows * example.grid_columns);
      EXPECT_GE(example.tokens, 160u);
      EXPECT_LE(example.tokens, 200u);
    }
  }
  EXPECT_EQ(next, 40u);
  EXPECT_TRUE(absl::IsOutOfRange(plane.planner->Plan(v1::SPLIT_VALIDATION, 2).status()));
}

// A picture whose red rises from left to right and whose green from top to bottom.
Image Ramps(uint32_t width, uint32_t height) {
  Image image;
  image.Resize(width, height);
  for (uint32_t y = 0; y < height; ++y) {
    for (uint32_t x = 0; x < width; ++x) {
      uint8_t* p = image.Row(y) + 3 * x;
      p[0] = static_cast<uint8_t>(20 + 200 * x / (width - 1));
      p[1] = static_cast<uint8_t>(20 + 200 * y / (height - 1));
      p[2] = 100;
    }
  }
  return image;
}

// `shown` as every format stores it with orientation 1 to 8.
std::vector<std::string> Oriented(const Image& shown) {
  std::vector<std::string> files;
  for (int orientation = 1; orientation <= 8; ++orientation) {
    // 6 and 8 undo each other, the others themselves.
    const uint32_t inverse = orientation == 6 ? 8 : orientation == 8 ? 6 : orientation;
    Image stored;
    ApplyOrientation(shown, inverse, &stored);
    testing::JpegOptions options;
    options.orientation = orientation;
    files.push_back(EncodeJpeg(stored, options));
    files.push_back(EncodePng(stored, testing::PngKind::kRgb, false, orientation));
    files.push_back(testing::AddWebpOrientation(testing::EncodeWebp(stored, -1), stored,
                                                orientation, orientation % 2 == 0));
  }
  return files;
}

// What the colours of a pack's patches say of the place and the direction in which an image was
// seen.
struct Seen {
  double left = 0, top = 0, width = 0, height = 0;
};

// The place of Ramps's part that `pack` shows as its example, of which all patches are there.
Seen PlaceOf(const v1::Pack& pack, int example, uint32_t patch, uint32_t width, uint32_t height) {
  size_t token = 0;
  for (int e = 0; e < example; ++e) token += pack.image_tokens(e);
  const size_t patch_bytes = size_t{3} * patch * patch;
  // Means of the first and of the last column, and of the first and of the last row, of pixels.
  const uint32_t rows = pack.grid_rows(example), columns = pack.grid_columns(example);
  const auto pixel = [&](uint32_t y, uint32_t x, int channel) {
    const size_t at = (token + y / patch * columns + x / patch) * patch_bytes +
                      (y % patch * patch + x % patch) * 3 + channel;
    return static_cast<double>(static_cast<uint8_t>(pack.patches()[at]));
  };
  const uint32_t h = rows * patch, w = columns * patch;
  // A ramp is a line: its slope over the inner half says where it begins and ends.
  const auto line = [](double quarter, double three_quarters, uint32_t length, uint32_t side,
                       double* begin, double* extent) {
    const double slope = (three_quarters - quarter) / (length / 2) * length;
    *extent = slope / 200 * (side - 1);
    *begin = (quarter - slope * (length / 4 + 0.5) / length - 20) / 200 * (side - 1) + 0.5;
  };
  Seen seen;
  double quarter = 0, rest = 0;
  for (uint32_t y = 0; y < h; ++y) {
    quarter += pixel(y, w / 4, 0) / h;
    rest += pixel(y, w / 4 + w / 2, 0) / h;
  }
  line(quarter, rest, w, width, &seen.left, &seen.width);
  quarter = rest = 0;
  for (uint32_t x = 0; x < w; ++x) {
    quarter += pixel(h / 4, x, 1) / w;
    rest += pixel(h / 4 + h / 2, x, 1) / w;
  }
  line(quarter, rest, h, height, &seen.top, &seen.height);
  return seen;
}

// However a file stores it, the pack shows the picture, its drawn part, mirrored or not as drawn.
TEST_F(PackTest, EveryFormatAndOrientationIsSeenAsDrawn) {
  constexpr uint32_t kWidth = 240, kHeight = 160;
  TarWriter tar;
  const std::vector<std::string> files = Oriented(Ramps(kWidth, kHeight));
  for (size_t i = 0; i < files.size(); ++i) {
    tar.Add(absl::StrCat(i, ".jpg"), files[i]).Add(absl::StrCat(i, ".txt"), "ramps");
  }
  const auto manifest = Shard(tar.Finish());
  v1::JobSpec spec = MakeSpec(64);
  spec.mutable_token_drop()->set_kind(v1::TokenDropSpec::NONE);
  spec.mutable_resolution()->set_min_pixels(80);
  for (const bool augmented : {false, true}) {
    if (augmented) {
      spec.mutable_preprocess()->set_horizontal_flip(0.5);
      spec.mutable_preprocess()->mutable_crop()->set_min_area(0.2);
      spec.mutable_preprocess()->mutable_crop()->set_max_area(0.9);
      spec.mutable_preprocess()->mutable_crop()->set_aspect_jitter(1.4);
    }
    DataPlane plane(spec, manifest);
    int mirrored = 0, seen_parts = 0;
    for (uint64_t w = 0; w < 2; ++w) {  // two epochs
      const auto plan = plane.planner->Plan(v1::SPLIT_TRAIN, w);
      ASSERT_TRUE(plan.ok()) << plan.status();
      for (uint32_t p = 0; p < plan->packs(); ++p) {
        const auto made = plane.maker->Make(*plan, p);
        ASSERT_TRUE(made.ok()) << made.status();
        CheckPack(spec, *plan, p, *made);
        v1::Pack pack;
        ASSERT_TRUE(pack.ParseFromString(made->payload));
        for (int e = 0; e < pack.samples_size(); ++e) {
          const Seen seen = PlaceOf(pack, e, 8, kWidth, kHeight);
          const uint64_t sample = pack.samples(e);
          const auto draws = [&](Purpose purpose) {
            return Draws(spec.seed(), 0, w, sample, purpose);
          };
          const Part part =
              DrawCrop(spec.preprocess().crop(), kWidth, kHeight, draws(Purpose::kCrop));
          const bool flip = DrawFlip(spec.preprocess().horizontal_flip(), draws(Purpose::kFlip));
          const double error = 5;  // pixels: levels of the ramp are 1.2 of them
          EXPECT_NEAR(seen.width, flip ? -static_cast<double>(part.width) : part.width, error)
              << sample;
          EXPECT_NEAR(seen.left, flip ? part.left + part.width : part.left, error) << sample;
          EXPECT_NEAR(seen.height, part.height, error) << sample;
          EXPECT_NEAR(seen.top, part.top, error) << sample;
          mirrored += flip ? 1 : 0;
          ++seen_parts;
        }
      }
    }
    EXPECT_EQ(seen_parts, 48);
    EXPECT_EQ(mirrored > 10, augmented);
  }
}

// Evaluation sees whole images, as they are.
TEST_F(PackTest, EvaluationIsNotAugmented) {
  const auto manifest = Shards(10, 10);
  v1::JobSpec spec = MakeSpec(64);
  const auto first_pack = [&] {
    DataPlane plane(spec, manifest);
    return plane.maker->Make(*plane.planner->Plan(v1::SPLIT_VALIDATION, 0), 0)
        ->header.content_hash();
  };
  const uint64_t plain = first_pack();
  spec.mutable_preprocess()->set_horizontal_flip(1);
  spec.mutable_preprocess()->mutable_crop()->set_min_area(0.2);
  EXPECT_EQ(first_pack(), plain);
}

// The text that golden.txt holds: digests of plans and hashes of packs.
std::string GoldenText(const v1::JobSpec& spec, std::shared_ptr<const v1::DataManifest> manifest) {
  DataPlane plane(spec, manifest);
  std::string text;
  const StreamLayout layout = StreamLayout::ForJob(spec, *manifest);
  const StreamLayout evaluation = StreamLayout::ForEvaluation(spec, manifest->train_samples());
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
TEST_F(PackTest, GoldenPlansAndPacks) {
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

TEST_F(PackTest, TheSameWhateverTheOrderAndTheThreads) {
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

TEST_F(PackTest, SeedAndSettingsChangeThePlan) {
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

// FAULTS, row 15: every kind of bad image is a hole with its reason, and the others do not move.
TEST_F(PackTest, BadImagesAreHolesAndMoveNothing) {
  const std::string good = EncodeJpeg(MakePicture(60, 60, 1));
  std::string bomb = EncodePng(MakePicture(61, 37, 5));
  bomb.replace(16, 8, std::string("\0\0\xEA\x60\0\0\xEA\x60", 8));
  // Damage behind the header: planned like the good one, found when it is decoded.
  const std::string truncated = good.substr(0, good.size() / 2);
  const std::vector<std::pair<std::string, v1::HoleReason>> images = {
      {good, v1::HOLE_REASON_NONE},
      {truncated, v1::HOLE_REASON_DECODE_ERROR},
      {"GIF89a", v1::HOLE_REASON_UNSUPPORTED_FORMAT},
      {good.substr(0, 30), v1::HOLE_REASON_BAD_HEADER},
      {bomb, v1::HOLE_REASON_TOO_LARGE},
      {"", v1::HOLE_REASON_NO_IMAGE},
      {EncodeJpeg(MakePicture(1, 1, 1)), v1::HOLE_REASON_NONE},
      {EncodeJpeg(MakePicture(2000, 3, 1)), v1::HOLE_REASON_NONE},
      {EncodePng(MakePicture(20, 20, 1), testing::PngKind::kRgb16), v1::HOLE_REASON_NONE}};
  const v1::JobSpec spec = MakeSpec(64);
  const auto make = [&](bool with_bad_bytes, std::map<uint64_t, v1::HoleReason>* holes) {
    TarWriter tar;
    for (size_t i = 0; i < images.size(); ++i) {
      const bool damaged = images[i].second == v1::HOLE_REASON_DECODE_ERROR;
      tar.Add(absl::StrCat(i, ".jpg"), damaged && !with_bad_bytes ? good : images[i].first);
      tar.Add(absl::StrCat(i, ".txt"), "caption");
    }
    DataPlane plane(spec, Shard(tar.Finish()));
    const auto plan = plane.planner->Plan(v1::SPLIT_TRAIN, 0);
    EXPECT_TRUE(plan.ok()) << plan.status();
    uint64_t hole_tokens = 0;
    for (uint32_t p = 0; p < plan->packs(); ++p) {
      const auto made = plane.maker->Make(*plan, p);
      EXPECT_TRUE(made.ok()) << made.status();
      CheckPack(spec, *plan, p, *made);
      for (const v1::Hole& hole : made->header.holes()) (*holes)[hole.sample()] = hole.reason();
      hole_tokens += made->stats.hole_tokens;
    }
    EXPECT_EQ(hole_tokens > 0, with_bad_bytes);
    return plan->digest;
  };
  std::map<uint64_t, v1::HoleReason> holes, fewer;
  EXPECT_EQ(make(true, &holes), make(false, &fewer)) << "the plan does not know the damage";
  std::map<uint64_t, v1::HoleReason> expected;
  for (size_t i = 0; i < images.size(); ++i) {
    if (images[i].second != v1::HOLE_REASON_NONE) expected[i] = images[i].second;
  }
  EXPECT_EQ(holes, expected);
  expected.erase(1);
  EXPECT_EQ(fewer, expected);
}

// FAULTS, row 18: every sample bad still makes packs, in which each is counted.
TEST_F(PackTest, AWindowOfHolesHasPacks) {
  TarWriter tar;
  for (int i = 0; i < 50; ++i)
    tar.Add(absl::StrCat(i, ".jpg"), "junk").Add(absl::StrCat(i, ".txt"), "x");
  const v1::JobSpec spec = MakeSpec(64);
  DataPlane plane(spec, Shard(tar.Finish()));
  const auto plan = plane.planner->Plan(v1::SPLIT_TRAIN, 0);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->packs(), 4u) << "50 holes, at most 16 examples a pack";
  EXPECT_EQ(plan->examples.size(), 50u);
  for (uint32_t p = 0; p < plan->packs(); ++p) {
    const auto made = plane.maker->Make(*plan, p);
    ASSERT_TRUE(made.ok()) << made.status();
    CheckPack(spec, *plan, p, *made);
    EXPECT_EQ(made->header.valid_examples(), 0u);
    EXPECT_EQ(made->header.image_tokens(), 0u);
  }
}

TEST_F(PackTest, MissingCaptionsAreSkippedOrFatal) {
  const std::string image = EncodeJpeg(MakePicture(60, 60, 1));
  const std::string tar =
      TarWriter().Add("a.jpg", image).Add("a.txt", "one").Add("absent.jpg", image).Finish();
  v1::JobSpec spec = MakeSpec(64);
  {
    DataPlane plane(spec, Shard(tar));
    const auto plan = plane.planner->Plan(v1::SPLIT_TRAIN, 0);
    ASSERT_TRUE(plan.ok()) << plan.status();
    const auto made = plane.maker->Make(*plan, 0);
    ASSERT_TRUE(made.ok()) << made.status();
    ASSERT_EQ(made->header.holes_size(), 1);
    EXPECT_EQ(made->header.holes(0).reason(), v1::HOLE_REASON_NO_CAPTION);
  }
  spec.mutable_data()->mutable_train(0)->mutable_captions()->set_if_missing(v1::CaptionsSpec::FAIL);
  {
    DataPlane plane(spec, Shard(tar));
    const auto plan = plane.planner->Plan(v1::SPLIT_TRAIN, 0);
    EXPECT_TRUE(absl::IsFailedPrecondition(plan.status())) << plan.status();
    EXPECT_NE(plan.status().message().find("0.tar: sample absent"), absl::string_view::npos);
  }
  // A caption of white space is none: the lengths of captions are planned too.
  const std::string blank = TarWriter().Add("b.jpg", image).Add("b.txt", " \n").Finish();
  for (const bool fail : {false, true}) {
    spec.mutable_data()->mutable_train(0)->mutable_captions()->set_if_missing(
        fail ? v1::CaptionsSpec::FAIL : v1::CaptionsSpec::SKIP);
    DataPlane plane(spec, Shard(blank));
    const auto plan = plane.planner->Plan(v1::SPLIT_TRAIN, 0);
    if (fail) {
      EXPECT_TRUE(absl::IsFailedPrecondition(plan.status())) << plan.status();
      EXPECT_NE(plan.status().message().find("0.tar: sample b"), absl::string_view::npos);
      continue;
    }
    ASSERT_TRUE(plan.ok()) << plan.status();
    EXPECT_EQ(plan->examples[0].hole, v1::HOLE_REASON_NO_CAPTION);
    const auto made = plane.maker->Make(*plan, 0);
    ASSERT_TRUE(made.ok()) << made.status();
    EXPECT_EQ(made->header.holes(0).reason(), v1::HOLE_REASON_NO_CAPTION);
  }
}

TEST_F(PackTest, CaptionsFromJsonAndClass) {
  const std::string image = EncodeJpeg(MakePicture(60, 60, 1));
  const std::string tar =
      TarWriter().Add("a.jpg", image).Add("a.json", "{\"alt\":\"cat\"}").Add("a.cls", "7").Finish();
  for (const auto& [field, caption] :
       {std::pair<std::string, std::string>{"json:alt", "cat"}, {"cls", "7"}}) {
    v1::JobSpec spec = MakeSpec(64);
    spec.mutable_data()->mutable_train(0)->mutable_captions()->set_field(field);
    DataPlane plane(spec, Shard(tar));
    const auto made = plane.maker->Make(*plane.planner->Plan(v1::SPLIT_TRAIN, 0), 0);
    ASSERT_TRUE(made.ok()) << made.status();
    v1::Pack pack;
    ASSERT_TRUE(pack.ParseFromString(made->payload));
    EXPECT_EQ(pack.caption_hashes(0), CaptionHash(caption));
  }
}

// FAULTS, row 17.
TEST_F(PackTest, AShardThatChangesOrVanishesIsNamed) {
  const std::string image = EncodeJpeg(MakePicture(60, 60, 1));
  const std::string tar = TarWriter().Add("a.jpg", image).Add("a.txt", "cat").Finish();
  const v1::JobSpec spec = MakeSpec(64);
  DataPlane plane(spec, Shard(tar));
  const std::string shard = folder_ + "/0.tar";
  const auto plan = plane.planner->Plan(v1::SPLIT_TRAIN, 0);
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_TRUE(plane.maker->Make(*plan, 0).ok());
  const auto status = [&](const std::string& bytes) {
    testing::WriteBytes(shard, bytes);
    const absl::Status made = plane.maker->Make(*plan, 0).status();
    EXPECT_NE(made.message().find(shard), absl::string_view::npos) << made;
    return made;
  };
  std::string other = tar;
  other[512 + image.size() / 2] ^= 1;
  EXPECT_TRUE(absl::IsFailedPrecondition(status(other))) << "image bytes";
  other = tar;
  other[tar.find("cat")] = 'b';
  EXPECT_TRUE(absl::IsFailedPrecondition(status(other))) << "caption bytes";
  EXPECT_TRUE(absl::IsFailedPrecondition(status(tar + tar))) << "size";
  EXPECT_TRUE(absl::IsFailedPrecondition(status("")));
  ASSERT_TRUE(RemoveAll(shard).ok());
  const absl::Status vanished = plane.maker->Make(*plan, 0).status();
  EXPECT_TRUE(absl::IsUnavailable(vanished)) << vanished;
  EXPECT_NE(vanished.message().find(shard), absl::string_view::npos);
  // Back as it was: all is well.
  testing::WriteBytes(shard, tar);
  EXPECT_TRUE(plane.maker->Make(*plan, 0).ok());
}

TEST_F(PackTest, StatisticsAddUp) {
  const v1::JobSpec spec = MakeSpec(64);
  DataPlane plane(spec, Golden());
  const auto plan = plane.planner->Plan(v1::SPLIT_TRAIN, 0);
  ASSERT_TRUE(plan.ok());
  uint64_t read = 0, dropped = 0;
  for (uint32_t p = 0; p < plan->packs(); ++p) {
    const auto made = plane.maker->Make(*plan, p);
    ASSERT_TRUE(made.ok());
    read += made->stats.samples_read;
    dropped += made->stats.dropped_tokens;
    EXPECT_GT(made->stats.read_bytes, 0u);
    for (const auto& example : made->stats.examples) {
      EXPECT_GE(example.side, spec.resolution().min_pixels());
      EXPECT_LE(example.side, spec.resolution().max_pixels());
      EXPECT_GE(example.drop_ratio, 0);
      EXPECT_LT(example.drop_ratio, 1);
      EXPECT_GT(example.aspect_ratio, 0);
    }
  }
  EXPECT_GT(read, 50u);
  EXPECT_GT(dropped, 0u);
}

TEST_F(PackTest, CreateNamesWhatItCannotPlan) {
  const auto manifest = Shards(5, 5);
  const auto error = [&](auto change) {
    v1::JobSpec spec = MakeSpec();
    change(spec);
    const auto planner =
        WindowPlanner::Create(spec, manifest, std::make_shared<IndexCache>(testing::LocalStore()));
    EXPECT_TRUE(absl::IsInvalidArgument(planner.status()));
    return std::string(planner.status().message());
  };
  EXPECT_NE(error([](v1::JobSpec& s) {
              s.mutable_packing()->set_plan_version(kPlanVersion + 1);
            }).find("packing.plan_version"),
            std::string::npos);
  EXPECT_NE(error([](v1::JobSpec& s) {
              s.mutable_packing()->clear_sequence_length();
            }).find("packing.sequence_length"),
            std::string::npos);
  EXPECT_NE(error([](v1::JobSpec& s) {
              s.mutable_data()->mutable_train(0)->mutable_captions()->set_field("x");
            }).find("captions.field"),
            std::string::npos);
  auto wrong = std::make_shared<v1::DataManifest>(*manifest);
  wrong->set_train_samples(6);
  EXPECT_TRUE(absl::IsInvalidArgument(
      WindowPlanner::Create(MakeSpec(), wrong, std::make_shared<IndexCache>(testing::LocalStore()))
          .status()));
}

}  // namespace
}  // namespace navit
